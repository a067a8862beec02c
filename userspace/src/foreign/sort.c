// SPDX-License-Identifier: GPL-2.0
/*
 * Sorting and searching for parsers. The C library's qsort() allocates memory and asks the system how much
 * there is, which a parser must not.
 */
#include "foreign/sort.h"

static void swap(u8 *a, u8 *b, size_t size)
{
	u8 byte;

	while (size--) {
		byte = *a;
		*a++ = *b;
		*b++ = byte;
	}
}

/* Let an element of a heap of @nr elements sink to its place. */
static void sink(u8 *base, size_t i, size_t nr, size_t size,
		 int (*compare)(const void *a, const void *b))
{
	size_t child;

	for (; i < nr / 2; i = child) {
		child = 2 * i + 1;
		if (child + 1 < nr &&
		    compare(base + child * size, base + (child + 1) * size) < 0)
			child++;
		if (compare(base + i * size, base + child * size) >= 0)
			return;
		swap(base + i * size, base + child * size, size);
	}
}

/**
 * foreign_sort() - sort an array in place, in n log n steps for any content
 * @base: the array
 * @nr: elements
 * @size: bytes of an element
 * @compare: as for qsort(); equal elements may change places
 */
void foreign_sort(void *base, size_t nr, size_t size,
		  int (*compare)(const void *a, const void *b))
{
	size_t i;

	for (i = nr / 2; i-- > 0;)
		sink(base, i, nr, size, compare);
	for (i = nr; i-- > 1;) {
		swap(base, (u8 *)base + i * size, size);
		sink(base, 0, i, size, compare);
	}
}

/**
 * foreign_search() - search a sorted array
 * @base: the array
 * @nr: elements
 * @size: bytes of an element
 * @key: the least key that fits
 * @key_of: returns the key of an element, by which the array is sorted
 *
 * Return: the number of the first element that fits, or @nr.
 */
size_t foreign_search(const void *base, size_t nr, size_t size, u64 key,
		      u64 (*key_of)(const void *element))
{
	size_t low = 0, high = nr, middle;

	while (low < high) {
		middle = low + (high - low) / 2;
		if (key_of((const u8 *)base + middle * size) >= key)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}
