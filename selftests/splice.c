// SPDX-License-Identifier: GPL-2.0
/*
 * splice, sendfile, tee and vmsplice with sockets. F11, X03, and what splice
 * must respect of the rest.
 */
#include "pages.h"
#include "passenger.h"
#include "record_fixture.h"
#include "stream_fixture.h"

#include <linux/filter.h>
#include <sys/sendfile.h>
#include <sys/syscall.h>

static const size_t sizes[] = { 1, 100, 4095, 4096, 4097, 8192, 10000, 65536 };
static const off_t offsets[] = { 0, 1, 4095, 4096 };

#define FILE_SIZE	(128 * 1024)

/* sendfile() of all that was asked for. */
static bool sendfile_all(int to, int file, off_t off, size_t len)
{
	while (len) {
		ssize_t n = sendfile(to, file, &off, len);

		if (n <= 0)
			return false;
		len -= n;
	}
	return true;
}

/* Moves @len bytes into a pipe or out of one. */
static bool splice_all(int from, int to, size_t len)
{
	while (len) {
		ssize_t n = splice(from, NULL, to, NULL, len, 0);

		if (n <= 0)
			return false;
		len -= n;
	}
	return true;
}

static ssize_t do_splice(struct ft_call *call)
{
	return splice(call->fd, NULL, *(int *)call->buf, NULL, call->len, call->flags);
}

static bool read_all(int fd, uint64_t offset, size_t len)
{
	char *buf = malloc(len);
	size_t done = 0;
	bool ok;

	while (done < len) {
		ssize_t n = read(fd, buf + done, len - done);

		if (n <= 0)
			break;
		done += n;
	}
	ok = done == len && ft_pattern_ok(buf, offset, len);
	free(buf);
	return ok;
}

static bool write_all(int fd, uint64_t offset, size_t len)
{
	char *buf = malloc(len);
	bool ok;

	ft_pattern(buf, offset, len);
	ok = write(fd, buf, len) == (ssize_t)len;
	free(buf);
	return ok;
}

/* A pipe, closed by pipe_end(). */
struct pipe {
	int out, in;
};

static bool pipe_start(struct pipe *p)
{
	return !pipe2((int *)p, O_CLOEXEC);
}

static void pipe_end(struct pipe *p)
{
	ft_close(&p->out);
	ft_close(&p->in);
}

TEST_F(stream, F11_sendfile_of_every_size)
{
	int file = pages_new(FILE_SIZE);

	ASSERT_LE(0, file);
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		for (size_t j = 0; j < ARRAY_SIZE(offsets); j++) {
			ASSERT_TRUE(sendfile_all(self->a, file, offsets[j], sizes[i]));
			ASSERT_TRUE(ft_recv_all(self->b, offsets[j], sizes[i], 3000));
		}
	}
	ft_close(&file);
}

TEST_F(stream, F11_sendfile_from_a_file)
{
	FILE *file = tmpfile();
	off_t off = 100;

	ASSERT_NE(NULL, file);
	ASSERT_TRUE(write_all(fileno(file), 0, 20000));
	EXPECT_EQ(19900, sendfile(self->a, fileno(file), &off, 50000));
	EXPECT_EQ(20000, off);
	EXPECT_TRUE(ft_recv_all(self->b, 100, 19900, 19900));
	EXPECT_EQ(0, sendfile(self->a, fileno(file), &off, 1));
	fclose(file);
}

TEST_F(stream, F11_pipe_to_socket)
{
	struct pipe p;

	ASSERT_TRUE(pipe_start(&p));
	for (size_t i = 0; i < ARRAY_SIZE(sizes); i++) {
		ASSERT_TRUE(write_all(p.in, 7, sizes[i]));
		ASSERT_TRUE(splice_all(p.out, self->a, sizes[i]));
		ASSERT_TRUE(ft_recv_all(self->b, 7, sizes[i], 1000));
	}
	pipe_end(&p);
}

TEST_F(stream, F11_socket_to_pipe)
{
	struct pipe p;

	ASSERT_TRUE(pipe_start(&p));
	for (size_t i = 0; i < ARRAY_SIZE(sizes) - 1; i++) {
		ASSERT_TRUE(ft_send_all(self->a, 7, sizes[i], 700));
		ASSERT_TRUE(ft_wait_inq(self->b, sizes[i]));
		ASSERT_TRUE(splice_all(self->b, p.in, sizes[i]));
		ASSERT_TRUE(read_all(p.out, 7, sizes[i]));
	}
	pipe_end(&p);
}

TEST_F(stream, F11_part_of_what_is_there)
{
	struct pipe p;

	ASSERT_TRUE(pipe_start(&p));
	ASSERT_TRUE(ft_send_all(self->a, 0, 1000, 1000));
	ASSERT_TRUE(ft_wait_inq(self->b, 1000));
	EXPECT_EQ(300, splice(self->b, NULL, p.in, NULL, 300, 0));
	EXPECT_EQ(700, splice(self->b, NULL, p.in, NULL, 5000, 0));
	EXPECT_TRUE(read_all(p.out, 0, 1000));
	pipe_end(&p);
}

TEST_F(stream, F11_through_two_sockets)
{
	int file = pages_new(FILE_SIZE);
	struct pipe p;

	ASSERT_TRUE(pipe_start(&p));
	ASSERT_TRUE(sendfile_all(self->a, file, 1, 40000));
	ASSERT_TRUE(ft_wait_inq(self->b, 40000));
	ASSERT_TRUE(splice_all(self->b, p.in, 40000));
	ASSERT_TRUE(splice_all(p.out, self->b, 40000));
	EXPECT_TRUE(ft_recv_all(self->a, 1, 40000, 9999));
	pipe_end(&p);
	ft_close(&file);
}

TEST_F(stream, F11_tee_and_vmsplice)
{
	char *page = mmap(NULL, 8192, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	struct iovec iov = { page, 8192 };
	struct pipe p, q;

	ASSERT_NE(MAP_FAILED, page);
	ft_pattern(page, 0, 8192);
	ASSERT_TRUE(pipe_start(&p));
	ASSERT_TRUE(pipe_start(&q));
	ASSERT_EQ(8192, vmsplice(p.in, &iov, 1, 0));
	ASSERT_EQ(8192, tee(p.out, q.in, 8192, 0));
	ASSERT_TRUE(splice_all(p.out, self->a, 8192));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 8192, 8192));
	EXPECT_TRUE(read_all(q.out, 0, 8192));
	pipe_end(&p);
	pipe_end(&q);
	munmap(page, 8192);
}

TEST_F(stream, F11_again)
{
	struct pipe p;

	ASSERT_TRUE(pipe_start(&p));
	ft_nonblock(self->b, true);
	EXPECT_ERR(EAGAIN, splice(self->b, NULL, p.in, NULL, 100, 0));
	pipe_end(&p);
}

/* TCP heeds the file's flag alone. */
TEST_F(local_stream, F11_again_by_flag)
{
	struct pipe p;

	ASSERT_TRUE(pipe_start(&p));
	EXPECT_ERR(EAGAIN, splice(self->b, NULL, p.in, NULL, 100, SPLICE_F_NONBLOCK));
	pipe_end(&p);
}

/* TCP may find room again. */
TEST_F(local_stream, F11_no_room)
{
	struct pipe p;

	if (variant->kind.domain == AF_UNIX && ft_kernel_before(6, 5))
		SKIP(return, "sendpage of AF_UNIX knows no limit");
	ASSERT_TRUE(pipe_start(&p));
	ft_nonblock(self->a, true);
	ASSERT_LT(0, ft_fill(self->a, 0, 4096));
	ASSERT_TRUE(write_all(p.in, 0, 4096));
	EXPECT_ERR(EAGAIN, splice(p.out, NULL, self->a, NULL, 4096, 0));
	EXPECT_TRUE(read_all(p.out, 0, 4096));
	pipe_end(&p);
}

TEST_F(stream, F11_waits_for_data)
{
	struct pipe p;
	struct ft_call call = {
		.fn = do_splice, .fd = self->b, .buf = &p.in, .len = 5000,
	};

	ASSERT_TRUE(pipe_start(&p));
	ASSERT_EQ(0, ft_start(&call));
	EXPECT_TRUE(ft_blocked(&call));
	EXPECT_TRUE(ft_send_all(self->a, 0, 5, 5));
	ft_join(&call);
	EXPECT_EQ(5, call.ret);
	EXPECT_TRUE(read_all(p.out, 0, 5));
	pipe_end(&p);
}

TEST_F(stream, F11_end_of_file)
{
	struct pipe p;

	ASSERT_TRUE(pipe_start(&p));
	ASSERT_TRUE(ft_send_all(self->a, 0, 5, 5));
	ASSERT_EQ(0, shutdown(self->a, SHUT_WR));
	ASSERT_TRUE(ft_wait_inq(self->b, 5));
	EXPECT_EQ(5, splice(self->b, NULL, p.in, NULL, 100, 0));
	EXPECT_EQ(0, splice(self->b, NULL, p.in, NULL, 100, 0));
	EXPECT_TRUE(read_all(p.out, 0, 5));
	pipe_end(&p);
}

TEST_F(stream, F11_offset_of_a_socket)
{
	struct pipe p;
	loff_t off = 0;

	ASSERT_TRUE(pipe_start(&p));
	/* As for pread(2), only that the core calls it EINVAL here. */
	EXPECT_ERR(EINVAL, splice(self->b, &off, p.in, NULL, 1, SPLICE_F_NONBLOCK));
	EXPECT_ERR(EINVAL, splice(p.out, NULL, self->a, &off, 1, SPLICE_F_NONBLOCK));
	pipe_end(&p);
}

TEST_F(stream, F11_nobody_reads_the_pipe)
{
	struct pipe p;

	ASSERT_TRUE(pipe_start(&p));
	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ft_signals_reset();
	ASSERT_TRUE(ft_send_all(self->a, 0, 5000, 5000));
	ASSERT_TRUE(ft_wait_inq(self->b, 5000));
	ft_close(&p.out);
	EXPECT_ERR(EPIPE, splice(self->b, NULL, p.in, NULL, 5000, 0));
	EXPECT_EQ(1, ft_signals());
	/* Nothing is lost. */
	EXPECT_TRUE(ft_recv_all(self->b, 0, 5000, 5000));
	pipe_end(&p);
}

TEST_F(local_stream, S01_splice_into_a_broken_pipe)
{
	int file = pages_new(8192);
	struct pipe p;
	off_t off = 0;

	ASSERT_TRUE(pipe_start(&p));
	ASSERT_EQ(0, ft_catch(SIGPIPE, 0));
	ft_signals_reset();
	ft_close(&self->b);
	ASSERT_TRUE(write_all(p.in, 0, 4096));
	EXPECT_ERR(EPIPE, splice(p.out, NULL, self->a, NULL, 4096, 0));
	EXPECT_EQ(1, ft_signals());
	EXPECT_ERR(EPIPE, sendfile(self->a, file, &off, 8192));
	EXPECT_EQ(2, ft_signals());
	EXPECT_EQ(0, off);
	EXPECT_TRUE(read_all(p.out, 0, 4096));
	pipe_end(&p);
	EXPECT_TRUE(pages_free(file));
	ft_close(&file);
}

TEST_F(local_stream, F11_pages_move_without_a_copy)
{
	int file = pages_new(32768);
	struct pipe p;

	ASSERT_TRUE(pipe_start(&p));
	ASSERT_TRUE(sendfile_all(self->a, file, 0, 32768));
	EXPECT_TRUE(pages_held(file));
	ASSERT_TRUE(splice_all(self->b, p.in, 32768));
	/* Now it is the pipe that refers to them. */
	EXPECT_TRUE(pages_held(file));
	EXPECT_TRUE(read_all(p.out, 0, 32768));
	EXPECT_TRUE(pages_free(file));
	pipe_end(&p);
	ft_close(&file);
}

TEST_F(local_stream, F11_pages_go_back_when_read)
{
	int file = pages_new(32768);

	ASSERT_TRUE(sendfile_all(self->a, file, 0, 32768));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 32767, 5000));
	EXPECT_TRUE(pages_held(file));
	EXPECT_TRUE(ft_recv_all(self->b, 32767, 1, 1));
	EXPECT_TRUE(pages_free(file));
	ft_close(&file);
}

TEST_F(local_stream, F11_pages_unread_at_close)
{
	int file = pages_new(32768);

	ASSERT_TRUE(sendfile_all(self->a, file, 0, 32768));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 5000, 5000));
	EXPECT_TRUE(pages_held(file));
	ft_close(&self->b);
	EXPECT_TRUE(pages_free(file));
	ft_close(&file);
}

TEST_F(local_stream, F11_pages_outlive_the_sender)
{
	int file = pages_new(32768);

	ASSERT_TRUE(sendfile_all(self->a, file, 0, 32768));
	ft_close(&self->a);
	EXPECT_TRUE(pages_held(file));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 32768, 4096));
	EXPECT_TRUE(pages_free(file));
	ft_close(&file);
}

TEST_F(local_stream, X01_descriptors_are_dropped_by_a_splice)
{
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(int))];
	} control = {};
	struct iovec iov = { "x", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	struct pipe p, passed;
	char c;

	ASSERT_TRUE(pipe_start(&p));
	ASSERT_TRUE(pipe_start(&passed));
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(int));
	memcpy(CMSG_DATA(cmsg), &passed.in, sizeof(int));
	ASSERT_EQ(1, sendmsg(self->a, &msg, 0));
	ft_close(&passed.in);
	ft_nonblock(passed.out, true);
	EXPECT_ERR(EAGAIN, read(passed.out, &c, 1));
	EXPECT_EQ(1, splice(self->b, NULL, p.in, NULL, 100, 0));
	/* Nobody has its other end any more. */
	EXPECT_EQ(POLLHUP, ft_poll(passed.out, POLLIN, FT_LONG_MS) & POLLHUP);
	EXPECT_EQ(0, read(passed.out, &c, 1));
	pipe_end(&passed);
	pipe_end(&p);
}

/* Takes up to @len bytes through a pipe, which must be @want. */
static bool splices(int fd, size_t len, const char *want)
{
	char buf[64] = "";
	struct pipe p;
	bool ok;

	if (!pipe_start(&p))
		return false;
	ok = splice(fd, NULL, p.in, NULL, len, SPLICE_F_NONBLOCK) ==
		     (ssize_t)strlen(want) &&
	     read(p.out, buf, sizeof(buf)) == (ssize_t)strlen(want) &&
	     !strcmp(buf, want);
	if (!ok)
		fprintf(stderr, "# '%s', not '%s'\n", buf, want);
	pipe_end(&p);
	return ok;
}

/* Four sends, of which the third has the credentials of somebody else. */
static bool send_as_two(int fd)
{
	struct ucred other = { getpid(), 100, 100 };

	return send(fd, "aaa", 3, 0) == 3 && send(fd, "bbb", 3, 0) == 3 &&
	       pass_send(fd, "ccc", 3, NULL, 0, &other, 0) == 3 &&
	       send(fd, "ddd", 3, 0) == 3;
}

/* A splice joins what a read joins. */
TEST_F(local_stream, O21_splice_stops_where_credentials_change)
{
	char buf[64];

	ASSERT_EQ(0, ft_setint(self->b, SO_PASSCRED, 1));
	ASSERT_TRUE(send_as_two(self->a));
	EXPECT_EQ(6, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(3, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_EQ(3, recv(self->b, buf, sizeof(buf), 0));

	ASSERT_TRUE(send_as_two(self->a));
	EXPECT_TRUE(splices(self->b, 100, "aaabbb"));
	EXPECT_TRUE(splices(self->b, 100, "ccc"));
	EXPECT_TRUE(splices(self->b, 100, "ddd"));
	/* From the middle, and up to the boundary exactly. */
	ASSERT_TRUE(send_as_two(self->a));
	EXPECT_TRUE(splices(self->b, 2, "aa"));
	EXPECT_TRUE(splices(self->b, 4, "abbb"));
	EXPECT_TRUE(splices(self->b, 1, "c"));
	EXPECT_TRUE(splices(self->b, 100, "cc"));
	EXPECT_TRUE(splices(self->b, 100, "ddd"));
	/* Who does not ask for credentials sees none. */
	ASSERT_EQ(0, ft_setint(self->b, SO_PASSCRED, 0));
	ASSERT_TRUE(send_as_two(self->a));
	EXPECT_TRUE(splices(self->b, 100, "aaabbbcccddd"));
}

TEST_F(ferry_stream, F11_partly_spliced_pages_keep_their_place)
{
	int file = pages_new(FILE_SIZE);
	struct pipe p;

	ASSERT_TRUE(pipe_start(&p));
	ASSERT_TRUE(ft_send_all(self->a, 0, 100, 100));
	ASSERT_TRUE(sendfile_all(self->a, file, 100, 20000));
	ASSERT_TRUE(ft_send_all(self->a, 20100, 100, 100));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 50, 50));
	EXPECT_TRUE(splice_all(self->b, p.in, 7000));
	EXPECT_TRUE(read_all(p.out, 50, 7000));
	EXPECT_TRUE(ft_recv_all(self->b, 7050, 7, 7));
	EXPECT_TRUE(splice_all(self->b, p.in, 13143));
	EXPECT_TRUE(read_all(p.out, 7057, 13143));
	EXPECT_EQ(0, ft_drain(self->b, 20200) > 0);
	pipe_end(&p);
	ft_close(&file);
}

TEST_F(ferry_stream, F11_pages_and_a_peek_offset)
{
	int file = pages_new(FILE_SIZE);
	char buf[3000];

	ASSERT_TRUE(sendfile_all(self->a, file, 0, 30000));
	ASSERT_EQ(0, ft_setint(self->b, SO_PEEK_OFF, 4000));
	for (int at = 4000; at + 3000 <= 30000; at += 3000) {
		ASSERT_EQ(3000, recv(self->b, buf, 3000, MSG_PEEK));
		ASSERT_TRUE(ft_pattern_ok(buf, at, 3000));
	}
	EXPECT_EQ(1000, recv(self->b, NULL, 1000, MSG_TRUNC));
	EXPECT_TRUE(ft_recv_all(self->b, 1000, 29000, 29000));
	ft_close(&file);
}

TEST_F(ferry_stream, O30_rcvlowat_gates_splice)
{
	struct pipe p;
	struct ft_call call = {
		.fn = do_splice, .fd = self->b, .buf = &p.in, .len = 8192,
	};

	ASSERT_TRUE(pipe_start(&p));
	ASSERT_EQ(0, ft_setint(self->b, SO_RCVLOWAT, 1000));
	ASSERT_TRUE(ft_send_all(self->a, 0, 999, 999));
	ASSERT_EQ(0, ft_start(&call));
	EXPECT_TRUE(ft_blocked(&call));
	ASSERT_TRUE(ft_send_all(self->a, 999, 1, 1));
	ft_join(&call);
	EXPECT_EQ(1000, call.ret);
	EXPECT_TRUE(read_all(p.out, 0, 1000));
	pipe_end(&p);
}

TEST_F(ferry_stream, O20_splice_stops_at_the_urgent_byte)
{
	struct pipe p;
	char buf[8];

	ASSERT_TRUE(pipe_start(&p));
	ASSERT_EQ(3, send(self->a, "abc", 3, 0));
	ASSERT_EQ(1, send(self->a, "!", 1, MSG_OOB));
	ASSERT_EQ(3, send(self->a, "def", 3, 0));
	EXPECT_EQ(3, splice(self->b, NULL, p.in, NULL, 100, 0));
	EXPECT_EQ(1, recv(self->b, buf, 1, MSG_OOB));
	EXPECT_EQ('!', buf[0]);
	EXPECT_EQ(3, splice(self->b, NULL, p.in, NULL, 100, 0));
	EXPECT_EQ(6, read(p.out, buf, 8));
	EXPECT_EQ(0, memcmp(buf, "abcdef", 6));
	pipe_end(&p);
}

TEST_F(ferry_stream, O02_what_is_spliced_past_a_filter_is_copied)
{
	struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, 0xffffffff);
	struct sock_fprog prog = { 1, &pass };
	int file = pages_new(32768);

	ASSERT_EQ(0, setsockopt(self->b, SOL_SOCKET, SO_ATTACH_FILTER, &prog,
				sizeof(prog)));
	ASSERT_TRUE(sendfile_all(self->a, file, 0, 32768));
	EXPECT_TRUE(pages_free(file));
	EXPECT_TRUE(ft_recv_all(self->b, 0, 32768, 32768));
	ft_close(&file);
}

TEST_F(ferry_stream, O38_sndbuf_bounds_spliced_pages)
{
	int file = pages_new(FILE_SIZE);
	off_t off = 0;
	ssize_t n;

	ASSERT_EQ(0, ft_setint(self->a, SO_SNDBUF, 16384));
	ft_nonblock(self->a, true);
	n = sendfile(self->a, file, &off, FILE_SIZE);
	EXPECT_LE(16384, n);
	EXPECT_GE(2 * 32768, n);
	EXPECT_ERR(EAGAIN, sendfile(self->a, file, &off, 4096));
	EXPECT_TRUE(ft_recv_all(self->b, 0, n, 4096));
	EXPECT_TRUE(pages_free(file));
	ft_close(&file);
}

/* A splice of what fits one page is one record. */
TEST_F(seqpacket, F11_records_in_and_out)
{
	struct pipe p;
	char buf[5000];

	ASSERT_TRUE(pipe_start(&p));
	ASSERT_TRUE(write_all(p.in, 0, 3000));
	ASSERT_EQ(3000, splice(p.out, NULL, self->a, NULL, 3000, 0));
	ASSERT_TRUE(write_all(p.in, 3000, 4096));
	ASSERT_EQ(4096, splice(p.out, NULL, self->a, NULL, 4096, 0));
	EXPECT_EQ(3000, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 3000));
	EXPECT_EQ(4096, recv(self->b, buf, sizeof(buf), 0));
	EXPECT_TRUE(ft_pattern_ok(buf, 3000, 4096));

	ft_pattern(buf, 0, 300);
	ASSERT_EQ(100, send(self->a, buf, 100, 0));
	ASSERT_EQ(200, send(self->a, buf + 100, 200, 0));
	EXPECT_EQ(100, splice(self->b, NULL, p.in, NULL, 4096, 0));
	EXPECT_EQ(200, splice(self->b, NULL, p.in, NULL, 4096, 0));
	EXPECT_TRUE(read_all(p.out, 0, 300));
	pipe_end(&p);
}

TEST_F(ferry_seqpacket, F11_pages_of_a_record_move_without_a_copy)
{
	int file = pages_new(4096);
	char buf[4096];

	ASSERT_TRUE(sendfile_all(self->a, file, 0, 4096));
	EXPECT_TRUE(pages_held(file));
	EXPECT_EQ(4096, recv(self->b, buf, 4096, MSG_PEEK));
	EXPECT_TRUE(ft_pattern_ok(buf, 0, 4096));
	EXPECT_EQ(4096, recv(self->b, buf, 10, MSG_TRUNC));
	EXPECT_TRUE(pages_free(file));
	ft_close(&file);
}

struct splicer {
	int from, to;
	atomic_bool *stop;
};

/* Feeds a socket from a file until it breaks. */
static void *feed(void *arg)
{
	struct splicer *s = arg;

	while (!atomic_load(s->stop)) {
		off_t off = 1;

		if (sendfile(s->to, s->from, &off, 50000) <= 0)
			break;
	}
	return NULL;
}

/* Empties a socket into a pipe until it ends. */
static void *drain(void *arg)
{
	struct splicer *s = arg;
	char buf[16384];
	struct pipe p;

	if (!pipe_start(&p))
		return NULL;
	for (;;) {
		ssize_t n = splice(s->from, NULL, p.in, NULL, 16384, 0);

		if (n <= 0 || read(p.out, buf, n) != n)
			break;
	}
	pipe_end(&p);
	return NULL;
}

/* AF_UNIX purged a buffer to which a splice was appending. */
TEST_F_TIMEOUT(local_stream, X03_splice_on_threads_against_close, FT_SLOW_S)
{
	int file = pages_new(65536);

	signal(SIGPIPE, SIG_IGN);
	for (int round = 0; round < 60; round++) {
		atomic_bool stop = false;
		struct splicer in = { file, self->a, &stop };
		struct splicer out = { self->b, -1, &stop };
		pthread_t threads[4];

		pthread_create(&threads[0], NULL, feed, &in);
		pthread_create(&threads[1], NULL, feed, &in);
		pthread_create(&threads[2], NULL, drain, &out);
		pthread_create(&threads[3], NULL, drain, &out);
		if (round % 3)
			ft_poll(self->b, POLLIN, FT_LONG_MS);
		atomic_store(&stop, round % 2);
		shutdown(round % 2 ? self->a : self->b, SHUT_RDWR);
		for (int i = 0; i < 4; i++)
			pthread_join(threads[i], NULL);
		ft_close(&self->a);
		ft_close(&self->b);
		ASSERT_EQ(0, ft_pair(&variant->kind, &self->a, &self->b));
	}
	EXPECT_TRUE(pages_free(file));
	ft_close(&file);
}

FT_HARNESS_MAIN
