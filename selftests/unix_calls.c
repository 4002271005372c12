// SPDX-License-Identifier: GPL-2.0
/*
 * A program of AF_UNIX that tells what every call answers. It knows nothing of
 * AF_FERRY: run_calls.sh runs it as it is and under "ferry run", and both must
 * say the same. Runs as root, in an empty directory.
 *
 *	unix_calls
 *	unix_calls after-exec FD	what a descriptor is, for itself
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <unistd.h>

#define HEADER	offsetof(struct sockaddr_un, sun_path)

static const char *self;

/* What a call answered; returns it. */
static long say(const char *what, long ret)
{
	if (ret < 0)
		printf("%s: %s\n", what, strerrorname_np(errno));
	else
		printf("%s: %ld\n", what, ret);
	return ret;
}

/* The same of a call that makes a descriptor, whose number does not matter. */
static int say_fd(const char *what, int fd)
{
	say(what, fd < 0 ? fd : 0);
	return fd;
}

/* Every byte of an address. */
static void say_addr(const char *what, const struct sockaddr_un *sun, socklen_t len)
{
	const char *bytes = sun->sun_path;
	socklen_t i;

	printf("%s: length %u", what, len);
	if (len >= sizeof(sun->sun_family))
		printf(" family %d ", sun->sun_family);
	for (i = 0; i + HEADER < len && i + HEADER < sizeof(*sun) + 1; i++)
		printf(bytes[i] < 33 || bytes[i] > 126 ? "\\x%02x" : "%c",
		       (unsigned char)bytes[i]);
	printf("\n");
}

static socklen_t fill(struct sockaddr_un *sun, const char *name, size_t len)
{
	memset(sun, 0x55, sizeof(*sun));
	sun->sun_family = AF_UNIX;
	memcpy(sun->sun_path, name, len);
	return HEADER + len;
}

static int bind_to(int fd, const char *path)
{
	struct sockaddr_un sun;

	return bind(fd, (struct sockaddr *)&sun, fill(&sun, path, strlen(path) + 1));
}

static int connect_to(int fd, const char *path)
{
	struct sockaddr_un sun;

	return connect(fd, (struct sockaddr *)&sun, fill(&sun, path, strlen(path) + 1));
}

static int bound(int type, const char *path)
{
	int fd = socket(AF_UNIX, type, 0);

	if (fd < 0 || bind_to(fd, path))
		say(path, -1);
	return fd;
}

static int listener_at(int type, const char *path)
{
	int fd = bound(type, path);

	if (listen(fd, 100))
		say("listen", -1);
	return fd;
}

/* connect() by a new socket, and the answer. */
static void say_connect(const char *what, int type, const char *path)
{
	int fd = socket(AF_UNIX, type, 0);

	say(what, connect_to(fd, path));
	close(fd);
}

static void say_names(const char *what, int fd)
{
	struct sockaddr_un sun;
	socklen_t len;
	char text[80];

	len = sizeof(sun);
	snprintf(text, sizeof(text), "%s getsockname", what);
	if (!getsockname(fd, (struct sockaddr *)&sun, &len))
		say_addr(text, &sun, len);
	else
		say(text, -1);
	len = sizeof(sun);
	snprintf(text, sizeof(text), "%s getpeername", what);
	if (!getpeername(fd, (struct sockaddr *)&sun, &len))
		say_addr(text, &sun, len);
	else
		say(text, -1);
}

static int option(int fd, int level, int name)
{
	socklen_t len = sizeof(int);
	int value = -1;

	return getsockopt(fd, level, name, &value, &len) ? -1 : value;
}

static int set(int fd, int level, int name, int value)
{
	return setsockopt(fd, level, name, &value, sizeof(value));
}

/* Do something as another user. */
static void as_nobody(void (*what)(void))
{
	int status;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (setgid(65534) || setuid(65534))
			say("setuid", -1);
		what();
		fflush(stdout);
		_exit(0);
	}
	waitpid(pid, &status, 0);
	if (status)
		printf("ended with %d\n", status);
}

static void kinds(void)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM, SOCK_RAW };
	static const int protocols[] = { 0, PF_UNIX, 2 };
	char what[40];
	size_t i, j;
	int fd;

	for (i = 0; i < 4; i++) {
		for (j = 0; j < 3; j++) {
			snprintf(what, sizeof(what), "type %d protocol %d", types[i], protocols[j]);
			fd = say_fd(what, socket(AF_UNIX, types[i], protocols[j]));
			if (fd < 0)
				continue;
			say("SO_DOMAIN", option(fd, SOL_SOCKET, SO_DOMAIN));
			say("SO_TYPE", option(fd, SOL_SOCKET, SO_TYPE));
			say("SO_PROTOCOL", option(fd, SOL_SOCKET, SO_PROTOCOL) == protocols[j] ||
			    option(fd, SOL_SOCKET, SO_PROTOCOL) == 0);
			say_names("new", fd);
			close(fd);
		}
	}
	say_fd("no such type", socket(AF_UNIX, SOCK_RDM, 0));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	say("O_NONBLOCK", !!(fcntl(fd, F_GETFL) & O_NONBLOCK));
	say("FD_CLOEXEC", fcntl(fd, F_GETFD));
	close(fd);
}

static void pairs(void)
{
	char buf[10];
	int fds[2];

	say("socketpair", socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, PF_UNIX, fds));
	say("FD_CLOEXEC", fcntl(fds[1], F_GETFD));
	say_names("pair", fds[0]);
	say("send", send(fds[0], "abc", 3, 0));
	say("recv", recv(fds[1], buf, sizeof(buf), 0));
	close(fds[0]);
	say("end", read(fds[1], buf, sizeof(buf)));
	close(fds[1]);
	say("socketpair of a wrong type", socketpair(AF_UNIX, SOCK_RDM, 0, fds));
}

static void binding(void)
{
	char longest[sizeof(((struct sockaddr_un *)0)->sun_path)], small[8];
	int fd = socket(AF_UNIX, SOCK_STREAM, 0), other = socket(AF_UNIX, SOCK_STREAM, 0);
	struct sockaddr_un sun;
	struct stat st;
	socklen_t len;

	umask(027);
	say("bind", bind_to(fd, "./b"));
	umask(022);
	say("stat", stat("b", &st));
	printf("mode %o\n", st.st_mode);
	say_names("bound", fd);
	len = sizeof(small);
	say("short getsockname", getsockname(fd, (struct sockaddr *)small, &len));
	printf("%u %.*s\n", len, (int)sizeof(small) - 2, small + 2);
	say("in use", bind_to(other, "b"));
	set(other, SOL_SOCKET, SO_REUSEADDR, 1);
	say("in use with SO_REUSEADDR", bind_to(other, "b"));
	say("again", bind_to(fd, "c"));
	say("no file of that", access("c", F_OK));
	say("no directory", bind_to(other, "none/b"));
	say("not a directory", bind_to(other, "b/b"));
	fill(&sun, "x", 2);
	say("length 0", bind(other, (struct sockaddr *)&sun, 0));
	say("length 1", bind(other, (struct sockaddr *)&sun, 1));
	say("length 111", bind(other, (struct sockaddr *)&sun, 111));
	sun.sun_family = AF_INET;
	say("family", bind(other, (struct sockaddr *)&sun, 4));

	/* Without a NUL, and then without the last byte. */
	memset(longest, 'l', sizeof(longest));
	fill(&sun, longest, sizeof(longest));
	say("longest", bind(other, (struct sockaddr *)&sun, sizeof(sun)));
	close(other);
	longest[sizeof(longest) - 1] = '\0';
	other = listener_at(SOCK_STREAM, longest);
	say_connect("nearly the longest", SOCK_STREAM, longest);
	say_connect("not the same", SOCK_STREAM, longest + 1);
	close(other);

	/* The length ends a path as well as a NUL does. */
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	fill(&sun, "cut\0more", 8);
	say("cut", bind(other, (struct sockaddr *)&sun, HEADER + 2));
	say("there is cu", access("cu", F_OK));
	say_names("cut", other);
	close(other);
	close(fd);
	say("the file stays", access("b", F_OK));
	say("unlink", unlink("b"));
}

static void abstract_names(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0), other = socket(AF_UNIX, SOCK_DGRAM, 0);
	static const char name[] = "\0a\0b";
	struct sockaddr_un sun;
	socklen_t len;

	say("autobind", bind(fd, (struct sockaddr *)&sun, fill(&sun, "", 0)));
	len = sizeof(sun);
	getsockname(fd, (struct sockaddr *)&sun, &len);
	printf("length %u, %d, %zu digits\n", len, sun.sun_path[0],
	       strspn(sun.sun_path + 1, "0123456789abcdef") >= 5 ? 5UL : 0UL);
	say("connect to it", connect(other, (struct sockaddr *)&sun, len));
	close(fd);
	close(other);

	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	len = fill(&sun, name, sizeof(name));
	set(fd, SOL_SOCKET, SO_REUSEADDR, 1);
	set(other, SOL_SOCKET, SO_REUSEADDR, 1);
	say("bind abstract", bind(fd, (struct sockaddr *)&sun, len));
	say("in use", bind(other, (struct sockaddr *)&sun, len));
	say("SO_REUSEADDR", option(fd, SOL_SOCKET, SO_REUSEADDR));
	say_names("abstract", fd);
	say("other length", bind(other, (struct sockaddr *)&sun, len - 1));
	say("listen", listen(fd, 1));
	close(other);
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	say("connect", connect(other, (struct sockaddr *)&sun, len));
	say_names("to abstract", other);
	close(other);
	other = socket(AF_UNIX, SOCK_STREAM, 0);
	say("nobody", connect(other, (struct sockaddr *)&sun, len - 1));
	fill(&sun, "\0longest", 8);
	close(fd);
	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	say("longest", bind(fd, (struct sockaddr *)&sun, sizeof(sun)));
	say_names("longest", fd);
	close(fd);
	close(other);
}

static void refused(void)
{
	int fd = bound(SOCK_STREAM, "silent"), dgram = bound(SOCK_DGRAM, "dgram"), s;
	struct sockaddr_un sun;

	say_connect("nothing there", SOCK_STREAM, "nothing");
	say_connect("no listener", SOCK_STREAM, "silent");
	say_connect("wrong type", SOCK_STREAM, "dgram");
	say_connect("wrong type", SOCK_DGRAM, "silent");
	say_connect("no socket", SOCK_STREAM, "/etc/passwd");
	say_connect("a directory", SOCK_STREAM, ".");
	say_connect("no directory", SOCK_STREAM, "/etc/passwd/x");
	say_connect("empty", SOCK_STREAM, "");
	close(fd);
	say_connect("left over", SOCK_STREAM, "silent");
	say_connect("left over", SOCK_DGRAM, "silent");

	/*
	 * Two answers of the families differ and are not asked for: a recv() on a stream, and
	 * a send() on a datagram socket, without a peer. The preload library sees neither.
	 */
	s = socket(AF_UNIX, SOCK_STREAM, 0);
	fill(&sun, "x", 2);
	say("length 2", connect(s, (struct sockaddr *)&sun, 2));
	say("length 111", connect(s, (struct sockaddr *)&sun, 111));
	sun.sun_family = AF_INET;
	say("family", connect(s, (struct sockaddr *)&sun, 16));
	sun.sun_family = AF_UNSPEC;
	say("AF_UNSPEC", connect(s, (struct sockaddr *)&sun, 16));
	say("accept", accept(s, NULL, NULL));
	say("listen", listen(s, 1));
	say("send", send(s, "x", 1, MSG_NOSIGNAL));
	close(s);
	s = socket(AF_UNIX, SOCK_DGRAM, 0);
	say("listen", listen(s, 1));
	close(s);
	close(dgram);
	unlink("silent");
	unlink("dgram");
	say("no socket at all", connect_to(0, "silent"));
	say("no descriptor", bind_to(99, "silent"));
}

static void connect_as_nobody(void)
{
	say_connect("as another", SOCK_STREAM, "mode");
}

static void send_as_nobody(void)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM, 0);
	struct sockaddr_un sun;
	socklen_t len = fill(&sun, "dgram-mode", 11);

	say("send as another", sendto(fd, "x", 1, 0, (struct sockaddr *)&sun, len));
	close(fd);
}

static void modes(void)
{
	int fd, dgram, dir;
	struct stat st;

	chmod(".", 0755);
	fd = listener_at(SOCK_STREAM, "mode");
	dgram = bound(SOCK_DGRAM, "dgram-mode");
	as_nobody(connect_as_nobody);
	as_nobody(send_as_nobody);
	say("chmod", chmod("mode", 0666));
	say("chmod", chmod("dgram-mode", 0602));
	as_nobody(connect_as_nobody);
	as_nobody(send_as_nobody);
	dir = open(".", O_RDONLY | O_DIRECTORY);
	say("fchmodat", fchmodat(dir, "mode", 0600, 0));
	close(dir);
	as_nobody(connect_as_nobody);
	close(fd);
	close(dgram);
	unlink("mode");
	unlink("dgram-mode");

	fd = socket(AF_UNIX, SOCK_STREAM, 0);
	umask(0);
	say("fchmod before", fchmod(fd, 0600));
	say("bind", bind_to(fd, "mode"));
	umask(022);
	stat("mode", &st);
	printf("mode %o\n", st.st_mode & 07777);
	listen(fd, 1);
	as_nobody(connect_as_nobody);
	close(fd);
	unlink("mode");

	/* A directory that others may not search. */
	mkdir("private", 0700);
	umask(0);
	fd = listener_at(SOCK_STREAM, "private/mode");
	umask(022);
	symlink("private/mode", "mode");
	as_nobody(connect_as_nobody);
	chmod("private", 0755);
	as_nobody(connect_as_nobody);
	close(fd);
	unlink("mode");
	unlink("private/mode");
	rmdir("private");
}

static void ways(void)
{
	char path[4096];
	int fd, old;

	mkdir("dir", 0755);
	fd = listener_at(SOCK_STREAM, "dir/way");
	if (!getcwd(path, sizeof(path) - 10))
		say("getcwd", -1);
	strcat(path, "/dir/way");
	say_connect("as it was given", SOCK_STREAM, "dir/way");
	say_connect("another spelling", SOCK_STREAM, "./dir//way");
	say_connect("absolute", SOCK_STREAM, path);
	symlink("dir", "dir2");
	symlink("dir/way", "way2");
	say_connect("directory by a link", SOCK_STREAM, "dir2/way");
	say_connect("link to it", SOCK_STREAM, "way2");
	link("dir/way", "way3");
	say_connect("hard link", SOCK_STREAM, "way3");
	rename("dir/way", "dir/moved");
	say_connect("moved", SOCK_STREAM, "dir/moved");
	say_connect("not where it was", SOCK_STREAM, "dir/way");
	say_connect("the link is stale", SOCK_STREAM, "way2");
	chdir("dir");
	say_connect("from another directory", SOCK_STREAM, "moved");
	say_connect("from another directory", SOCK_STREAM, "../way3");
	chdir("..");

	/* Another in its place: it alone is found, the old one by its other name. */
	old = fd;
	unlink("dir/moved");
	fd = listener_at(SOCK_STREAM, "dir/moved");
	say_connect("new one", SOCK_STREAM, "dir/moved");
	close(fd);
	say_connect("new one has gone", SOCK_STREAM, "dir/moved");
	say_connect("old one", SOCK_STREAM, "way3");
	unlink("way3");
	unlink("dir/moved");
	say_connect("nowhere", SOCK_STREAM, "dir/way");

	/* Bound to the very path that the old one still has. */
	fd = listener_at(SOCK_STREAM, "dir/way");
	say_connect("its path is free", SOCK_STREAM, "dir/way");
	close(old);
	say_connect("and stays another's", SOCK_STREAM, "dir/way");
	close(fd);
	unlink("dir/way");
	unlink("dir2");
	unlink("way2");
	rmdir("dir");
}

static void connections(int type)
{
	int fd = listener_at(type, "server"), client = bound(type, "client"), s;
	struct iovec iov;
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
	struct sockaddr_un sun;
	struct ucred cred;
	socklen_t len;
	char buf[100];

	say("connect", connect_to(client, "server"));
	len = sizeof(sun);
	s = say_fd("accept", accept(fd, (struct sockaddr *)&sun, &len));
	say_addr("accept", &sun, len);
	say_names("accepted", s);
	say_names("client", client);
	len = sizeof(cred);
	say("SO_PEERCRED", getsockopt(s, SOL_SOCKET, SO_PEERCRED, &cred, &len));
	printf("%s, uid %d\n", cred.pid == getpid() ? "own" : "other", cred.uid);

	say("send", send(client, "hello", 5, 0));
	len = sizeof(sun);
	say("recvfrom", recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&sun, &len));
	say_addr("recvfrom", &sun, len);
	len = fill(&sun, "server", 7);
	say("sendto", sendto(client, "to", 2, 0, (struct sockaddr *)&sun, len));
	if (type == SOCK_STREAM)
		send(client, "to", 2, 0);
	iov = (struct iovec){ buf, sizeof(buf) };
	msg.msg_name = &sun;
	msg.msg_namelen = sizeof(sun);
	say("recvmsg", recvmsg(s, &msg, 0));
	say_addr("recvmsg", &sun, msg.msg_namelen);
	say("connect again", connect_to(client, "server"));
	say("listen", listen(client, 1));
	say("shutdown", shutdown(client, SHUT_WR));
	len = sizeof(sun);
	say("end", recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&sun, &len));
	say("no address", len);
	close(client);
	close(s);

	client = socket(AF_UNIX, type | SOCK_NONBLOCK, 0);
	len = fill(&sun, "server", 7);
	say("sendto without connection",
	    sendto(client, "to", 2, MSG_NOSIGNAL, (struct sockaddr *)&sun, len));
	say("connect", connect_to(client, "server"));
	len = sizeof(sun);
	s = accept4(fd, (struct sockaddr *)&sun, &len, SOCK_NONBLOCK | SOCK_CLOEXEC);
	say_addr("accept4", &sun, len);
	say("flags", !!(fcntl(s, F_GETFL) & O_NONBLOCK) + fcntl(s, F_GETFD) * 2);
	send(client, "x", 1, 0);
	len = sizeof(sun);
	say("recvfrom", recvfrom(s, buf, sizeof(buf), 0, (struct sockaddr *)&sun, &len));
	say("address of a client without a name", len);
	say("recv", recv(s, buf, sizeof(buf), 0));
	len = 4;
	say("short getpeername", getpeername(client, (struct sockaddr *)&sun, &len));
	say("length", len);
	close(s);
	close(client);
	close(fd);
	unlink("server");
	unlink("client");
}

static void datagrams(void)
{
	int a = bound(SOCK_DGRAM, "a"), b = bound(SOCK_DGRAM, "b"), none;
	struct sockaddr_un sun, names[3];
	struct mmsghdr msgs[3] = {};
	struct iovec iov[3];
	char buf[3][10];
	socklen_t len;
	int i;

	len = fill(&sun, "b", 2);
	say("sendto", sendto(a, "one", 3, 0, (struct sockaddr *)&sun, len));
	len = sizeof(sun);
	say("recvfrom", recvfrom(b, buf, sizeof(buf), 0, (struct sockaddr *)&sun, &len));
	say_addr("recvfrom", &sun, len);
	say("answer", sendto(b, "answer", 6, 0, (struct sockaddr *)&sun, len));
	say("read", read(a, buf, sizeof(buf)));
	none = socket(AF_UNIX, SOCK_DGRAM, 0);
	len = fill(&sun, "b", 2);
	say("sendto without a name", sendto(none, "xx", 2, 0, (struct sockaddr *)&sun, len));
	len = sizeof(sun);
	say("recvfrom", recvfrom(b, buf, 1, MSG_TRUNC, (struct sockaddr *)&sun, &len));
	say("no address", len);
	len = fill(&sun, "nobody", 7);
	say("nobody", sendto(a, "x", 1, 0, (struct sockaddr *)&sun, len));
	say("no length", sendto(a, "x", 1, 0, (struct sockaddr *)&sun, 2));

	for (i = 0; i < 3; i++) {
		iov[i] = (struct iovec){ buf[i], 2 + i };
		msgs[i].msg_hdr.msg_iov = &iov[i];
		msgs[i].msg_hdr.msg_iovlen = 1;
		msgs[i].msg_hdr.msg_name = &names[i];
		msgs[i].msg_hdr.msg_namelen = fill(&names[i], i < 2 ? "b" : "nobody", 7);
	}
	say("sendmmsg", sendmmsg(a, msgs, 3, 0));
	say("sent", msgs[0].msg_len * 10 + msgs[1].msg_len);
	say("connect", connect_to(none, "b"));
	say("send", send(none, "xyz", 3, 0));
	for (i = 0; i < 3; i++)
		msgs[i].msg_hdr.msg_namelen = i ? sizeof(names[i]) : 3;
	say("recvmmsg", recvmmsg(b, msgs, 3, 0, NULL));
	for (i = 0; i < 3; i++) {
		printf("%u bytes\n", msgs[i].msg_len);
		say_addr("recvmmsg", &names[i], msgs[i].msg_hdr.msg_namelen);
	}
	say("nothing", recvmmsg(b, msgs, 3, MSG_DONTWAIT, NULL));
	say_names("connected", none);
	sun.sun_family = AF_UNSPEC;
	say("AF_UNSPEC", connect(none, (struct sockaddr *)&sun, sizeof(sun)));
	say_names("no more", none);
	close(b);
	len = fill(&sun, "b", 2);
	say("gone", sendto(a, "x", 1, 0, (struct sockaddr *)&sun, len));
	close(a);
	close(none);
	unlink("a");
	unlink("b");
}

static void options(void)
{
	int fds[2];

	say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	say("SO_PASSCRED", option(fds[0], SOL_SOCKET, SO_PASSCRED));
	say("set", set(fds[0], SOL_SOCKET, SO_PASSCRED, 1));
	say("SO_PASSCRED", option(fds[0], SOL_SOCKET, SO_PASSCRED));
	say("SO_PASSCRED of the other", option(fds[1], SOL_SOCKET, SO_PASSCRED));
	say("SO_REUSEPORT", set(fds[0], SOL_SOCKET, SO_REUSEPORT, 1));
	say("SO_ZEROCOPY", set(fds[0], SOL_SOCKET, SO_ZEROCOPY, 1));
	say("TCP_NODELAY", set(fds[0], IPPROTO_TCP, TCP_NODELAY, 1));
	say("TCP_NODELAY", option(fds[0], IPPROTO_TCP, TCP_NODELAY));
	say("unknown", set(fds[0], SOL_SOCKET, 9999, 1));
	say("SO_KEEPALIVE", set(fds[0], SOL_SOCKET, SO_KEEPALIVE, 1));
	say("SO_ACCEPTCONN", option(fds[0], SOL_SOCKET, SO_ACCEPTCONN));
	say("SO_ERROR", option(fds[0], SOL_SOCKET, SO_ERROR));
	close(fds[0]);
	close(fds[1]);
}

static void send_control(int fd, int type, const void *data, size_t len)
{
	char control[CMSG_SPACE(sizeof(struct ucred))] __attribute__((aligned(8))) = {};
	struct iovec iov = { "c", 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = CMSG_SPACE(len),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = type;
	cmsg->cmsg_len = CMSG_LEN(len);
	memcpy(CMSG_DATA(cmsg), data, len);
	say("sendmsg", sendmsg(fd, &msg, 0));
}

/* Returns a descriptor that came. */
static int receive_control(int fd)
{
	char control[200] __attribute__((aligned(8)));
	struct sockaddr_un sun;
	char buf[10];
	struct iovec iov = { buf, sizeof(buf) };
	struct msghdr msg = {
		.msg_name = &sun, .msg_namelen = sizeof(sun),
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *cmsg;
	struct ucred cred;
	int came = -1;

	say("recvmsg", recvmsg(fd, &msg, MSG_CMSG_CLOEXEC));
	printf("flags %x\n", msg.msg_flags);
	for (cmsg = CMSG_FIRSTHDR(&msg); cmsg; cmsg = CMSG_NXTHDR(&msg, cmsg)) {
		printf("control message %d of %zu bytes\n", cmsg->cmsg_type, cmsg->cmsg_len);
		if (cmsg->cmsg_type == SCM_RIGHTS)
			memcpy(&came, CMSG_DATA(cmsg), sizeof(came));
		if (cmsg->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&cred, CMSG_DATA(cmsg), sizeof(cred));
		printf("%s, uid %d\n", cred.pid == getpid() ? "own" : "other", cred.uid);
	}
	return came;
}

static void passengers(void)
{
	struct ucred cred = { getpid(), 0, 0 };
	int fds[2], fd, came;

	say("socketpair", socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	fd = open("/etc/passwd", O_RDONLY);
	send_control(fds[0], SCM_RIGHTS, &fd, sizeof(fd));
	close(receive_control(fds[1]));
	close(fd);
	fd = listener_at(SOCK_STREAM, "passed");
	send_control(fds[0], SCM_RIGHTS, &fd, sizeof(fd));
	close(fd);
	came = receive_control(fds[1]);
	say_names("passed", came);
	say("SO_DOMAIN", option(came, SOL_SOCKET, SO_DOMAIN));
	say_connect("passed", SOCK_STREAM, "passed");
	close(came);
	say_connect("closed", SOCK_STREAM, "passed");
	unlink("passed");
	set(fds[1], SOL_SOCKET, SO_PASSCRED, 1);
	send_control(fds[0], SCM_CREDENTIALS, &cred, sizeof(cred));
	receive_control(fds[1]);
	close(fds[0]);
	close(fds[1]);
}

static void copies(void)
{
	int fd = listener_at(SOCK_STREAM, "copy"), copy, status;
	struct pollfd poll_copy = { .events = POLLIN };
	char number[10];
	pid_t pid;

	copy = dup2(fd, 77);
	close(fd);
	say_names("dup2", copy);
	fflush(stdout);
	pid = fork();
	if (!pid) {
		snprintf(number, sizeof(number), "%d", copy);
		execl(self, self, "after-exec", number, NULL);
		_exit(1);
	}
	waitpid(pid, &status, 0);
	say("status", status);
	poll_copy.fd = copy;
	say("poll", poll(&poll_copy, 1, 0));
	close(copy);
	say_connect("closed", SOCK_STREAM, "copy");
	unlink("copy");
}

static int after_exec(int fd)
{
	say_names("after exec", fd);
	say("SO_DOMAIN", option(fd, SOL_SOCKET, SO_DOMAIN));
	say_connect("after exec", SOCK_STREAM, "copy");
	return 0;
}

int main(int argc, char **argv)
{
	self = argv[0];
	setvbuf(stdout, NULL, _IOLBF, 0);
	if (argc == 3)
		return after_exec(atoi(argv[2]));
	kinds();
	pairs();
	binding();
	abstract_names();
	refused();
	modes();
	ways();
	connections(SOCK_STREAM);
	connections(SOCK_SEQPACKET);
	datagrams();
	options();
	passengers();
	copies();
	return 0;
}
