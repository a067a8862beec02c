// SPDX-License-Identifier: GPL-2.0
/*
 * A file that is no image of ours: its kind, by magic bytes, and the command that makes
 * an image of it.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#include "image/foreign_image.h"
#include "image/seems.h"
#include "lib/report.h"
#include "lib/text.h"

/* Bytes at the start of a file that hold all magics but those of a footer. */
#define START_BYTES	(SZ_64K + SZ_4K)
#define FOOTER_BYTES	SZ_512
/* A file is text if these are. */
#define TEXT_BYTES	SZ_512

#define CONVERT_FROM(format) \
	"convert it with qemu-img convert -f " format " -O qcow2 FILE NEW.qcow2"
#define CONVERT	"convert it with qemu-img convert -O qcow2 FILE NEW.qcow2"
#define AGAIN	"download it again"

/**
 * struct kind - a kind of file
 * @scope: the least that finds it
 * @what: name of the format
 * @next: advice, in which FILE stands for the name of the file; NULL: none
 * @in_file: of its magic bytes; bytes before the end of the file if negative
 * @len: bytes of @magic
 * @magic: in small letters if @text
 * @text: capital letters are the same, and white space may come first
 * @program: that decompresses it, or NULL
 * @suffix: of files that @program replaces; NULL: of none
 */
struct kind {
	enum seems_scope scope;
	const char *what;
	const char *next;
	int in_file;
	unsigned int len;
	const char *magic;
	bool text;
	const char *program;
	const char *suffix;
};

#define AT(where, bytes) \
	.in_file = where, .len = sizeof(bytes) - 1, .magic = bytes
#define TEXT(bytes)	AT(0, bytes), .text = true

/* The first that fits is it. */
static const struct kind kinds[] = {
	/* Its guest decides how it begins. */
	{ SEEMS_FILES, "a fixed VHD, a raw disk with a footer", "use -f vpc",
	  AT(-512, "conectix") },
	{ SEEMS_FILES, "a fixed VHD, a raw disk with a footer", "use -f vpc",
	  AT(-511, "conectix") },
	{ SEEMS_FORMATS, "a vmdk image", CONVERT, AT(0, "# Disk DescriptorFile") },
	{ SEEMS_FORMATS, "a vpc image (VHD)", CONVERT, AT(0, "conectix") },
	{ SEEMS_FORMATS, "a qed image", CONVERT, AT(0, "QED\0") },
	{ SEEMS_FORMATS, "a parallels image", CONVERT, AT(0, "WithoutFreeSpace") },
	{ SEEMS_FORMATS, "a parallels image", CONVERT, AT(0, "WithouFreSpacExt") },
	{ SEEMS_FORMATS, "a luks image", "use -f raw, and open the device with cryptsetup",
	  AT(0, "LUKS\xba\xbe") },
	{ SEEMS_FILES, "compressed with xz", NULL, AT(0, "\xfd" "7zXZ\0"),
	  .program = "xz", .suffix = ".xz" },
	{ SEEMS_FILES, "compressed with gzip", NULL, AT(0, "\x1f\x8b\x08"),
	  .program = "gzip", .suffix = ".gz" },
	{ SEEMS_FILES, "compressed with zstd", NULL, AT(0, "\x28\xb5\x2f\xfd"),
	  .program = "zstd", .suffix = ".zst" },
	{ SEEMS_FILES, "compressed with lz4", NULL, AT(0, "\x04\x22\x4d\x18"),
	  .program = "lz4" },
	{ SEEMS_FILES, "compressed with lzip", NULL, AT(0, "LZIP\1"),
	  .program = "lzip", .suffix = ".lz" },
	/* Behind the digit of the level, the magic of its first block. */
	{ SEEMS_FILES, "compressed with bzip2", NULL, AT(4, "1AY&SY"),
	  .program = "bzip2", .suffix = ".bz2" },
	{ SEEMS_FILES, "a 7z archive", "unpack it with 7z x FILE",
	  AT(0, "7z\xbc\xaf\x27\x1c") },
	{ SEEMS_FILES, "a zip archive", "unpack it with unzip FILE", AT(0, "PK\3\4") },
	{ SEEMS_FILES, "a rar archive", "unpack it with unrar x FILE", AT(0, "Rar!\x1a\7") },
	{ SEEMS_FILES, "a tar archive, such as an OVA", "use -f ova, or unpack it with tar -xf FILE",
	  AT(257, "ustar") },
	{ SEEMS_FILES, "a pointer of Git LFS", "get the file itself with git lfs pull",
	  AT(0, "version https://git-lfs.github.com/spec/") },
	{ SEEMS_FILES, "a pointer of git-annex", "get the file itself with git annex get FILE",
	  AT(0, "/annex/objects/") },
	{ SEEMS_FILES, "an HTML page, perhaps the error page of a download", AGAIN,
	  TEXT("<!doctype html") },
	{ SEEMS_FILES, "an HTML page, perhaps the error page of a download", AGAIN,
	  TEXT("<html") },
	{ SEEMS_FILES, "an XML file, no disk, perhaps the error message of a download", AGAIN,
	  TEXT("<?xml") },
	{ SEEMS_FILES, "a macOS disk image (UDIF)", CONVERT_FROM("dmg"), AT(-512, "koly") },
	{ SEEMS_FILES, "an encrypted macOS disk image",
	  "on a Mac decrypt it with hdiutil convert FILE -format UDTO -o NEW", AT(0, "encrcdsa") },
	{ SEEMS_FILES, "a macOS sparse image",
	  "on a Mac make a raw image of it with hdiutil convert FILE -format UDTO -o NEW",
	  AT(0, "sprs") },
	{ SEEMS_FILES, "a cloop image", CONVERT_FROM("cloop"), AT(0, "#!/bin/sh\n#V2.0 Format") },
	{ SEEMS_FILES, "a COW file of User-Mode Linux", "make a raw image of it with uml_moo FILE NEW.img",
	  AT(0, "OOOM") },
	{ SEEMS_FILES, "an Android sparse image", "make a raw image of it with simg2img FILE NEW.img",
	  AT(0, "\x3a\xff\x26\xed") },
	{ SEEMS_FILES, "an EnCase image (EWF)", "show it as a raw image with ewfmount FILE FOLDER",
	  AT(0, "EVF\t\r\n\xff") },
	{ SEEMS_FILES, "a backup of Proxmox (VMA)", "unpack it with vma extract FILE FOLDER",
	  AT(0, "VMA\0") },
	{ SEEMS_FILES, "an image of partclone",
	  "make a raw image of it with partclone.restore -C -s FILE -O NEW.img",
	  AT(0, "partclone-image") },
	{ SEEMS_FILES, "an archive of Windows (WIM)", "unpack it with wimapply FILE FOLDER",
	  AT(0, "MSWIM\0\0\0") },
	{ SEEMS_FILES, "the saved memory of a virtual machine, no disk", "name its disk",
	  AT(0, "LibvirtQemudSave") },
	{ SEEMS_FILES, "the saved memory of a virtual machine, no disk", "name its disk",
	  AT(0, "QEVM\0\0\0") },
	{ SEEMS_ALL, "a raw disk, an ISO 9660 filesystem", NULL, AT(32769, "CD001") },
	{ SEEMS_ALL, "a raw disk with a GPT", NULL, AT(512, "EFI PART") },
	{ SEEMS_ALL, "a raw disk with a GPT for sectors of 4096 bytes", NULL, AT(4096, "EFI PART") },
	{ SEEMS_ALL, "a raw disk, an ext4 filesystem", NULL, AT(1080, "\x53\xef") },
	{ SEEMS_ALL, "a raw disk, an XFS filesystem", NULL, AT(0, "XFSB") },
	{ SEEMS_ALL, "a raw disk, a btrfs filesystem", NULL, AT(65600, "_BHRfS_M") },
	{ SEEMS_ALL, "a raw disk, a squashfs filesystem", NULL, AT(0, "hsqs") },
	{ SEEMS_ALL, "a raw disk, an LVM volume", NULL, AT(512, "LABELONE") },
	{ SEEMS_ALL, "a raw disk with a boot sector", NULL, AT(510, "\x55\xaa") },
};

/**
 * struct sample - some bytes of a file
 * @start: the first bytes
 * @len: how many the file had
 * @footer: the last bytes; zeros if the file is shorter
 */
struct sample {
	u8 start[START_BYTES];
	size_t len;
	u8 footer[FOOTER_BYTES];
};

static bool text_matches(const struct sample *s, const struct kind *k)
{
	const char *p = (const char *)s->start;
	const char *end = p + s->len;

	if (s->len >= 3 && !memcmp(p, "\xef\xbb\xbf", 3))
		p += 3;
	while (p < end && isspace((unsigned char)*p))
		p++;
	return (size_t)(end - p) >= k->len && !strncasecmp(p, k->magic, k->len);
}

static bool kind_matches(const struct sample *s, const struct kind *k)
{
	if (k->text)
		return text_matches(s, k);
	if (k->in_file < 0)
		return !memcmp(s->footer + FOOTER_BYTES + k->in_file, k->magic, k->len);
	return s->len >= k->in_file + k->len &&
	       !memcmp(s->start + k->in_file, k->magic, k->len);
}

static bool is_text(const struct sample *s)
{
	size_t n = min(s->len, (size_t)TEXT_BYTES), i;

	for (i = 0; i < n; i++)
		if (s->start[i] < ' ' && !isspace(s->start[i]))
			return false;
	return n > 0;
}

static const struct kind *find_kind(const struct file *f, const struct sample *s,
				    enum seems_scope scope)
{
	static const struct kind empty = {
		.scope = SEEMS_ALL, .what = "empty, perhaps truncated", .next = "copy or download it again",
	};
	static const struct kind no_medium = {
		.scope = SEEMS_ALL, .what = "a block device of 0 bytes",
		.next = "connect it, or load its medium",
	};
	static const struct kind plain_text = {
		.scope = SEEMS_FILES, .what = "a text file", .next = "read it",
	};
	size_t i;

	if (scope == SEEMS_ALL && !f->size)
		return S_ISBLK(f->stat.st_mode) ? &no_medium : &empty;
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		if (kinds[i].scope <= scope && kind_matches(s, &kinds[i]))
			return &kinds[i];
	return scope == SEEMS_ALL && is_text(s) ? &plain_text : NULL;
}

static char *decompress(const struct kind *k, const char *name)
{
	size_t len = strlen(name), n = k->suffix ? strlen(k->suffix) : 0;
	bool replaced = n && len > n && !strcmp(name + len - n, k->suffix);
	char *quoted = text_shell(name);
	char *text = xasprintf("decompress it with %s %s %s%s", k->program,
			       replaced ? "-d" : "-dc", quoted,
			       replaced ? "" : " >NEW");

	free(quoted);
	return text;
}

/* The advice of a kind, with the name of the file as a shell takes it. */
static char *advice(const struct kind *k, const char *name)
{
	static const char token[] = "FILE";
	const char *at;
	char *quoted, *text;

	if (k->program)
		return decompress(k, name);
	at = strstr(k->next, token);
	if (!at)
		return xstrdup(k->next);
	quoted = text_shell(name);
	text = xasprintf("%.*s%s%s", (int)(at - k->next), k->next, quoted,
			 at + strlen(token));
	free(quoted);
	return text;
}

static char *describe(const struct kind *k, const char *name, const char *as_raw)
{
	char *next, *text;

	if (k->scope == SEEMS_ALL && !k->next)
		return xasprintf("it seems to be %s%s%s", k->what, as_raw ? "; " : "",
				 as_raw ? as_raw : "");
	next = advice(k, name);
	if (as_raw && k->scope == SEEMS_FILES)
		text = xasprintf("it seems to be %s; %s, or %s to take it as it is",
				 k->what, next, as_raw);
	else
		text = xasprintf("it seems to be %s; %s", k->what, next);
	free(next);
	return text;
}

static int read_sample(const struct file *f, struct sample *s)
{
	if (file_read(f, s->start, sizeof(s->start), 0, &s->len))
		return -1;
	if (f->size < FOOTER_BYTES)
		return 0;
	return file_read(f, s->footer, FOOTER_BYTES, f->size - FOOTER_BYTES, NULL);
}

/**
 * seems_describe() - guess the kind of a file that is no image of ours
 * @f: the file
 * @scope: the kinds to look for
 * @as_raw: advice for a file that is to be taken as a raw disk, or NULL
 *
 * Return: "it seems to be ...; and advice", to free, or NULL if nothing is recognized.
 */
char *seems_describe(const struct file *f, enum seems_scope scope,
		     const char *as_raw)
{
	const struct foreign_format *format = scope == SEEMS_FORMATS ?
			foreign_image_probe_backing(f, NULL) : foreign_image_probe(f);
	struct sample *s;
	const struct kind *k;
	char *text;

	if (format)
		return xasprintf("it seems to be a %s image; give that format", format->name);
	s = xcalloc(1, sizeof(*s));
	k = read_sample(f, s) ? NULL : find_kind(f, s, scope);
	text = k ? describe(k, f->name, as_raw) : NULL;
	free(s);
	return text;
}
