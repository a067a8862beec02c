// SPDX-License-Identifier: GPL-2.0
/*
 * File requests of a block device: each is one bio, which is part of the request and uses
 * the request's table of memory. file_io.c submits them, and leaves every request that
 * needs more than that to the operations of the device's file: those know about the page
 * cache of the device, about its end, and about errors of alignment.
 */
#include <linux/blkdev.h>
#include <linux/bvec.h>
#include <linux/ioprio.h>
#include <linux/pagemap.h>

#include "file/file.h"
#include "file/file_bdev.h"

/* The place and the memory that are left to transfer. */
static struct bvec_iter bdev_iter(const struct qcow_file_req *req)
{
	u32 skip = req->skip + req->bytes_done;
	struct bvec_iter iter = {
		.bi_sector = (req->host_offset + req->bytes_done) >> SECTOR_SHIFT,
		.bi_size = req->skip + req->len,
	};

	bvec_iter_advance(req->bvec, &iter, skip);
	return iter;
}

/*
 * Return: true if the device can address the place and each segment of the memory. A
 * mapping below may have got other limits since the attach.
 */
static bool bdev_aligned(const struct qcow_file_req *req)
{
	struct block_device *bdev = req->file->bdev;
	u32 len_mask = bdev_logical_block_size(bdev) - 1;
	u32 mem_mask = bdev_dma_alignment(bdev);
	struct bvec_iter iter = bdev_iter(req);
	const struct bio_vec *bv = __bvec_iter_bvec(req->bvec, iter);
	u32 in_bvec = mp_bvec_iter_offset(req->bvec, iter) - bv->bv_offset;
	u32 left = iter.bi_size, bits, n;

	bits = (req->host_offset + req->bytes_done) & len_mask;
	for (; left; left -= n, in_bvec = 0, bv++) {
		n = min(left, bv->bv_len - in_bvec);
		bits |= (n & len_mask) | ((bv->bv_offset + in_bvec) & mem_mask);
	}
	return !bits;
}

/**
 * qcow_bdev_is_cached() - tell whether the page cache of a device matters to a request
 * @req: the request, whose file has a @bdev
 *
 * Other programs use the page cache, and so do requests that direct I/O cannot do: those
 * for a part of a sector of the device.
 *
 * Context: any.
 *
 * Return: whether the cache has, for the rest of the request, pages that a read has to
 * see since they are newer than the device; or any pages, which a write has to invalidate.
 */
bool qcow_bdev_is_cached(const struct qcow_file_req *req)
{
	struct address_space *mapping = req->file->file->f_mapping;
	u64 first = req->host_offset + req->bytes_done;
	u64 last = req->host_offset + req->len - 1;

	if (likely(!mapping->nrpages))
		return false;
	if (req->write)
		return filemap_range_has_page(mapping, first, last);
	return filemap_range_needs_writeback(mapping, first, last);
}

/**
 * qcow_bdev_takes() - tell whether the rest of a file request can be one bio
 * @req: the request, for which direct I/O is right; its file has a @bdev
 *
 * Context: any.
 *
 * Return: false if the operations of the device's file have to serve the request.
 */
bool qcow_bdev_takes(const struct qcow_file_req *req)
{
	u64 size = qcow_file_size(req->file);

	if (unlikely(req->host_offset >= size || req->len > size - req->host_offset))
		return false;
	if (req->write && unlikely(bdev_read_only(req->file->bdev)))
		return false;
	return !qcow_bdev_is_cached(req) && bdev_aligned(req);
}

/**
 * qcow_bdev_submit() - submit the rest of a file request as one bio
 * @req: a request that qcow_bdev_takes()
 * @end_io: called once with @req->bio, in any context, also before this returns. It calls
 *	bio_uninit(). With @req->nowait the bio fails if the device would sleep
 *
 * The flags are those of direct I/O: the block layer delays writes without them, also in
 * spite of REQ_NOWAIT, to have less writeback under way.
 *
 * Context: a worker, or the task that dispatches the request, with current->bio_list and
 * current->plug put aside. May sleep: devices that ignore REQ_NOWAIT do.
 */
void qcow_bdev_submit(struct qcow_file_req *req, bio_end_io_t *end_io)
{
	blk_opf_t opf = req->write ? REQ_OP_WRITE | REQ_SYNC | REQ_IDLE : REQ_OP_READ;
	struct bio *bio = &req->bio;

	if (req->nowait)
		opf |= REQ_NOWAIT;
	bio_init(bio, req->file->bdev, (struct bio_vec *)req->bvec, 0, opf);
	bio_set_flag(bio, BIO_CLONED);
	bio->bi_vcnt = min_t(u32, req->nr_bvec, USHRT_MAX);
	bio->bi_iter = bdev_iter(req);
	bio->bi_ioprio = get_current_ioprio();
	bio->bi_end_io = end_io;
	submit_bio(bio);
}
