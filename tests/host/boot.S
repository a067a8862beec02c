/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A guest of 512 bytes. The BIOS loads it from the first sector of the disk. It prints the text
 * in the second sector to the serial console, writes that sector to the third one, and turns the
 * machine off.
 */
	.code16
	.globl _start
_start:
	xorw	%ax, %ax
	movw	%ax, %ds
	movw	%ax, %es
	cli
	movw	%ax, %ss
	movw	$0x7c00, %sp
	sti
	ljmp	$0, $1f
1:	movw	$0x0201, %ax		/* read one sector, */
	movw	$2, %cx			/* which the BIOS counts from 1 */
	call	disk
	movw	$buffer, %si
	call	print
	movw	$0x0301, %ax		/* write one */
	movw	$3, %cx
	call	disk
	movw	$written, %si
	call	print
off:	movw	$0x604, %dx		/* ACPI's register of QEMU's machines */
	movw	$0x2000, %ax
	outw	%ax, %dx
	ljmp	$0xffff, $0		/* -no-reboot ends other ones */

/* %ax has the BIOS's command, %cx the sector, %dl the disk, as the BIOS has set it. */
disk:	xorb	%dh, %dh
	movw	$buffer, %bx
	pushw	%dx
	int	$0x13
	popw	%dx
	jc	error
	ret

error:	movw	$failed, %si
	call	print
	jmp	off

print:	pushw	%dx
	movw	$0x3f8, %dx
2:	lodsb
	testb	%al, %al
	jz	3f
	outb	%al, %dx
	jmp	2b
3:	popw	%dx
	ret

written:
	.asciz	"the guest has written\r\n"
failed:	.asciz	"an error of the disk\r\n"
	.org	510
	.word	0xaa55
	.set	buffer, 0x8000
