// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets in queues of sockets: a send that would close a cycle is refused, so
 * nothing can keep itself alive. X01.
 *
 * Every test ends with all its descriptors closed and no socket left, which is
 * what a cycle would break.
 */

#include "passenger.h"
#include "kselftest_harness.h"

FIXTURE(graph)
{
	struct ft_leak leak;
};

FIXTURE_VARIANT(graph)
{
	struct ft_kind kind;
};

FIXTURE_VARIANT_ADD(graph, FERRY_stream)
{
	.kind = { AF_FERRY, SOCK_STREAM, FT_PAIR },
};

FIXTURE_VARIANT_ADD(graph, FERRY_seqpacket)
{
	.kind = { AF_FERRY, SOCK_SEQPACKET, FT_PAIR },
};

FIXTURE_VARIANT_ADD(graph, FERRY_dgram)
{
	.kind = { AF_FERRY, SOCK_DGRAM, FT_CONN },
};

FIXTURE_SETUP(graph)
{
	FT_NEED(variant->kind.domain, variant->kind.type);
	ft_leak_start(&self->leak, AF_FERRY);
}

FIXTURE_TEARDOWN(graph)
{
	FT_NO_LEAK(&self->leak);
}

/*
 * A node is a connection: what is sent into @in lies in the queue of @out, and
 * it is @out that travels.
 */
struct node {
	int in;
	int out;
};

static bool node_make(const struct ft_kind *kind, struct node *node)
{
	return !ft_pair(kind, &node->in, &node->out);
}

static void node_close(struct node *node)
{
	ft_close(&node->in);
	ft_close(&node->out);
}

/* Puts @what into the queue of @to. The error, or 0. */
static int put(struct node *to, int what)
{
	return ft_err(pass_send(to->in, "x", 1, &what, 1, NULL,
				MSG_DONTWAIT | MSG_NOSIGNAL));
}

/* Takes the first message out, and closes what came with it. */
static bool take(struct node *from)
{
	struct pass pass;
	char byte;

	if (pass_recv(from->out, &byte, 1, &pass, MSG_DONTWAIT) != 1)
		return false;
	pass_close(&pass);
	return true;
}

#define NODES(node)							\
do {									\
	size_t _i;							\
									\
	for (_i = 0; _i < ARRAY_SIZE(node); _i++)			\
		ASSERT_TRUE(node_make(&variant->kind, &(node)[_i]));	\
} while (0)

#define CLOSE(node)							\
do {									\
	size_t _i;							\
									\
	for (_i = 0; _i < ARRAY_SIZE(node); _i++)			\
		node_close(&(node)[_i]);				\
} while (0)

TEST_F(graph, X01_into_its_own_queue)
{
	struct node a[1];

	NODES(a);
	EXPECT_EQ(ELOOP, put(&a[0], a[0].out));
	/* Twice in one message, and beside something harmless. */
	EXPECT_ERR(ELOOP, pass_send(a[0].in, "x", 1,
				    (int[]){ 0, a[0].out, a[0].out }, 3, NULL,
				    0));
	EXPECT_EQ(0, ft_poll(a[0].out, POLLIN, 0));
	/* The other end may travel; then this one may not the other way. */
	EXPECT_EQ(0, put(&a[0], a[0].in));
	EXPECT_ERR(ELOOP, pass_send(a[0].out, "x", 1, &a[0].out, 1, NULL, 0));
	CLOSE(a);
}

TEST_F(graph, X01_through_the_peer)
{
	struct node a[1];

	NODES(a);
	EXPECT_EQ(0, put(&a[0], a[0].in));
	ft_close(&a[0].in);
	/* The queue keeps the other end alive. */
	EXPECT_EQ(1, send(a[0].out, "x", 1, MSG_NOSIGNAL));
	CLOSE(a);
}

TEST_F(graph, X01_two_sockets)
{
	struct node a[2];

	NODES(a);
	EXPECT_EQ(0, put(&a[0], a[1].out));
	EXPECT_EQ(ELOOP, put(&a[1], a[0].out));
	/* Once it is out of the queue, it goes. */
	EXPECT_TRUE(take(&a[0]));
	EXPECT_EQ(0, put(&a[1], a[0].out));
	EXPECT_EQ(ELOOP, put(&a[0], a[1].out));
	CLOSE(a);
}

TEST_F(graph, X01_received_but_not_closed)
{
	struct node a[2];
	struct pass pass;
	char byte;

	/* A descriptor of this process is no edge. */
	NODES(a);
	EXPECT_EQ(0, put(&a[0], a[1].out));
	EXPECT_EQ(1, pass_recv(a[0].out, &byte, 1, &pass, MSG_PEEK));
	EXPECT_EQ(ELOOP, put(&a[1], a[0].out));
	pass_close(&pass);
	EXPECT_EQ(1, pass_recv(a[0].out, &byte, 1, &pass, 0));
	EXPECT_EQ(0, put(&a[1], a[0].out));
	pass_close(&pass);
	CLOSE(a);
}

TEST_F(graph, X01_triangle)
{
	struct node a[3];

	NODES(a);
	EXPECT_EQ(0, put(&a[1], a[0].out));
	EXPECT_EQ(0, put(&a[2], a[1].out));
	EXPECT_EQ(ELOOP, put(&a[0], a[2].out));
	CLOSE(a);
}

TEST_F(graph, X01_cross_edge)
{
	struct node a[4];

	NODES(a);
	EXPECT_EQ(0, put(&a[1], a[0].out));
	EXPECT_EQ(0, put(&a[2], a[1].out));
	EXPECT_EQ(ELOOP, put(&a[0], a[2].out));
	EXPECT_EQ(0, put(&a[3], a[1].out));
	EXPECT_EQ(0, put(&a[2], a[3].out));
	EXPECT_EQ(ELOOP, put(&a[1], a[3].out));
	EXPECT_EQ(ELOOP, put(&a[1], a[2].out));
	EXPECT_EQ(ELOOP, put(&a[0], a[3].out));
	CLOSE(a);
}

TEST_F(graph, X01_backtracking)
{
	struct node a[5];

	NODES(a);
	EXPECT_EQ(0, put(&a[1], a[0].out));
	EXPECT_EQ(0, put(&a[4], a[0].out));
	EXPECT_EQ(0, put(&a[2], a[1].out));
	EXPECT_EQ(0, put(&a[3], a[2].out));
	EXPECT_EQ(ELOOP, put(&a[1], a[3].out));
	EXPECT_EQ(0, put(&a[4], a[3].out));
	EXPECT_EQ(ELOOP, put(&a[0], a[4].out));
	EXPECT_EQ(ELOOP, put(&a[3], a[4].out));
	CLOSE(a);
}

TEST_F(graph, X01_long_cycle)
{
	struct node a[60];
	size_t i;

	NODES(a);
	for (i = 1; i < ARRAY_SIZE(a); i++)
		ASSERT_EQ(0, put(&a[i], a[i - 1].out));
	EXPECT_EQ(ELOOP, put(&a[0], a[ARRAY_SIZE(a) - 1].out));
	EXPECT_EQ(ELOOP, put(&a[30], a[40].out));
	EXPECT_EQ(0, put(&a[40], a[30].out));
	/* Cut in the middle: but there is a way around, then there is none. */
	EXPECT_TRUE(take(&a[35]));
	EXPECT_EQ(ELOOP, put(&a[0], a[ARRAY_SIZE(a) - 1].out));
	EXPECT_TRUE(take(&a[40]));
	EXPECT_TRUE(take(&a[40]));
	EXPECT_EQ(0, put(&a[0], a[ARRAY_SIZE(a) - 1].out));
	CLOSE(a);
}

TEST_F(graph, X01_many_descriptors_in_one_message)
{
	struct node a[20];
	int fds[20];
	int i;

	NODES(a);
	for (i = 0; i < 19; i++)
		fds[i] = a[i].out;
	ASSERT_EQ(1, pass_send(a[19].in, "x", 1, fds, 19, NULL, 0));
	for (i = 0; i < 19; i++)
		EXPECT_EQ(ELOOP, put(&a[i], a[19].out));
	/* The last of them would close it. */
	fds[18] = a[19].out;
	EXPECT_ERR(ELOOP, pass_send(a[18].in, "x", 1, fds, 19, NULL, 0));
	CLOSE(a);
}

TEST_F(graph, X01_refusal_leaves_nothing)
{
	struct witness witness;
	struct node a[2];
	int fds[2];

	NODES(a);
	ASSERT_TRUE(witness_make(&witness));
	EXPECT_EQ(0, put(&a[0], a[1].out));
	fds[0] = witness.out;
	fds[1] = a[0].out;
	EXPECT_ERR(ELOOP, pass_send(a[1].in, "x", 1, fds, 2, NULL, 0));
	EXPECT_EQ(0, ft_poll(a[1].out, POLLIN, 0));
	EXPECT_TRUE(witness_gone(&witness));
	/* Nor an edge. */
	EXPECT_TRUE(take(&a[0]));
	EXPECT_EQ(0, put(&a[1], a[0].out));
	CLOSE(a);
}

TEST_F(graph, X01_types_mixed)
{
	static const int types[] = { SOCK_STREAM, SOCK_SEQPACKET, SOCK_DGRAM };
	struct node a[3];
	int i;

	for (i = 0; i < 3; i++) {
		struct ft_kind kind = { AF_FERRY, types[i], FT_PAIR };

		ASSERT_TRUE(node_make(&kind, &a[i]));
	}
	EXPECT_EQ(0, put(&a[1], a[0].out));
	EXPECT_EQ(0, put(&a[2], a[1].out));
	EXPECT_EQ(ELOOP, put(&a[0], a[2].out));
	CLOSE(a);
}

TEST_F(graph, X01_datagrams_by_name)
{
	struct ft_addr addr;
	struct iovec iov = { "x", 1 };
	struct {
		struct cmsghdr header;
		int fd;
	} control = {
		.header = { CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS },
	};
	struct msghdr msg = {
		.msg_name = &addr.ss, .msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = &control, .msg_controllen = sizeof(control),
	};
	int fd;

	if (variant->kind.type != SOCK_DGRAM)
		SKIP(return, "connected types have one receiver");
	fd = socket(AF_FERRY, SOCK_DGRAM, 0);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, ft_bind_new(fd, AF_FERRY, &addr));
	msg.msg_namelen = addr.len;
	control.fd = fd;
	EXPECT_ERR(ELOOP, sendmsg(fd, &msg, 0));
	ft_close(&fd);
}

TEST_F(graph, X01_deep_nesting)
{
	struct node node, next;
	int depth = 400, i;

	/* Each lies in the queue of the next, and nowhere else. */
	ASSERT_TRUE(node_make(&variant->kind, &node));
	for (i = 0; i < depth; i++) {
		ASSERT_TRUE(node_make(&variant->kind, &next));
		ASSERT_EQ(0, put(&next, node.out));
		node_close(&node);
		node = next;
	}
	/* All of them end here. */
	node_close(&node);
}

/* Listeners stand for the connections nobody has accepted. */

TEST_F(graph, X01_listener_into_its_own_backlog)
{
	struct node client = { .out = -1 };
	struct ft_addr addr;
	int listener, fd;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	listener = ft_listener(&variant->kind, &addr, 4);
	ASSERT_LE(0, listener);
	client.in = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, client.in);
	EXPECT_EQ(ELOOP, put(&client, listener));
	/* Accepted, the connection is the acceptor's. */
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, put(&client, listener));
	ft_close(&listener);
	ft_close(&fd);
	node_close(&client);
}

TEST_F(graph, X01_through_a_listener)
{
	struct node client = { .out = -1 }, box, other = { .out = -1 };
	struct ft_addr addr;
	int listener, fd;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	ASSERT_TRUE(node_make(&variant->kind, &box));
	listener = ft_listener(&variant->kind, &addr, 4);
	ASSERT_LE(0, listener);
	client.in = ft_connect(&variant->kind, &addr);
	other.in = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, client.in);

	/* box holds the listener, a child of which would hold box. */
	EXPECT_EQ(0, put(&box, listener));
	EXPECT_EQ(ELOOP, put(&client, box.out));
	EXPECT_EQ(ELOOP, put(&other, box.out));
	EXPECT_TRUE(take(&box));
	EXPECT_EQ(0, put(&client, box.out));
	EXPECT_EQ(ELOOP, put(&box, listener));

	/* The second is accepted second; the first takes the edge along. */
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, put(&box, listener));
	EXPECT_EQ(ELOOP, put(&box, fd));
	ft_close(&fd);
	ft_close(&listener);
	node_close(&client);
	node_close(&other);
	node_close(&box);
}

TEST_F(graph, X01_listener_closed_with_mail_in_its_backlog)
{
	struct node client = { .out = -1 }, box;
	struct witness witness;
	struct ft_addr addr;
	int listener;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	ASSERT_TRUE(witness_make(&witness));
	ASSERT_TRUE(node_make(&variant->kind, &box));
	listener = ft_listener(&variant->kind, &addr, 4);
	client.in = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, client.in);
	EXPECT_EQ(0, put(&client, witness.out));
	EXPECT_EQ(0, put(&client, box.out));
	EXPECT_TRUE(witness_held(&witness));
	ft_close(&listener);
	EXPECT_TRUE(witness_gone(&witness));
	/* The edge has gone with it. */
	EXPECT_NE(0, put(&client, box.out));
	node_close(&client);
	node_close(&box);
}

TEST_F(graph, X01_listener_in_flight_while_a_client_connects)
{
	struct node client = { .out = -1 }, box;
	struct ft_addr addr;
	struct pass pass;
	int listener, fd;
	char byte;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	/* The listener is nowhere but in a queue, and can be reached. */
	ASSERT_TRUE(node_make(&variant->kind, &box));
	listener = ft_listener(&variant->kind, &addr, 4);
	ASSERT_LE(0, listener);
	EXPECT_EQ(0, put(&box, listener));
	ft_close(&listener);
	client.in = ft_connect(&variant->kind, &addr);
	ASSERT_LE(0, client.in);
	EXPECT_EQ(ELOOP, put(&client, box.out));
	EXPECT_EQ(1, send(client.in, "y", 1, 0));
	EXPECT_EQ(1, pass_recv(box.out, &byte, 1, &pass, 0));
	ASSERT_EQ(1, pass.fds);
	fd = accept(pass.fd[0], NULL, NULL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, put(&client, box.out));
	EXPECT_EQ(1, recv(fd, &byte, 1, 0));
	EXPECT_EQ('y', byte);
	pass_close(&pass);
	ft_close(&fd);
	node_close(&client);
	node_close(&box);
}

/* Races. */

struct closer {
	pthread_t thread;
	pthread_barrier_t *barrier;
	struct node *to;
	int what;
	int err;
};

static void *close_cycle(void *arg)
{
	struct closer *closer = arg;

	pthread_barrier_wait(closer->barrier);
	closer->err = put(closer->to, closer->what);
	return NULL;
}

TEST_F_TIMEOUT(graph, X01_two_close_one_cycle, FT_SLOW_S)
{
	int rounds = 100, round, i, looped = 0;
	pthread_barrier_t barrier;
	struct closer closer[2];
	struct node a[2];

	pthread_barrier_init(&barrier, NULL, 2);
	for (round = 0; round < rounds; round++) {
		NODES(a);
		for (i = 0; i < 2; i++) {
			closer[i] = (struct closer){
				.barrier = &barrier, .to = &a[i],
				.what = a[!i].out,
			};
			ASSERT_EQ(0, pthread_create(&closer[i].thread, NULL,
						    close_cycle, &closer[i]));
		}
		for (i = 0; i < 2; i++) {
			pthread_join(closer[i].thread, NULL);
			EXPECT_TRUE(!closer[i].err || closer[i].err == ELOOP);
			looped += closer[i].err == ELOOP;
		}
		CLOSE(a);
	}
	/* Each time one of them, and never both or none. */
	EXPECT_EQ(rounds, looped);
	pthread_barrier_destroy(&barrier);
}

struct acceptor {
	pthread_t thread;
	pthread_barrier_t *barrier;
	int listener;
	int fd;
};

static void *accept_one(void *arg)
{
	struct acceptor *acceptor = arg;

	pthread_barrier_wait(acceptor->barrier);
	acceptor->fd = accept(acceptor->listener, NULL, NULL);
	return NULL;
}

TEST_F(graph, X01_accept_under_a_send)
{
	int rounds = 100, round, sent = 0;
	pthread_barrier_t barrier;
	struct ft_addr addr;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	pthread_barrier_init(&barrier, NULL, 2);
	for (round = 0; round < rounds; round++) {
		struct node client = { .out = -1 };
		struct acceptor acceptor = { .barrier = &barrier };
		int err;

		acceptor.listener = ft_listener(&variant->kind, &addr, 4);
		client.in = ft_connect(&variant->kind, &addr);
		ASSERT_LE(0, client.in);
		ASSERT_EQ(0, pthread_create(&acceptor.thread, NULL, accept_one,
					    &acceptor));
		pthread_barrier_wait(&barrier);
		/* Before the accept it is a cycle, after it is none. */
		err = put(&client, acceptor.listener);
		EXPECT_TRUE(!err || err == ELOOP);
		sent += !err;
		pthread_join(acceptor.thread, NULL);
		ASSERT_LE(0, acceptor.fd);
		EXPECT_EQ(0, put(&client, acceptor.listener));
		ft_close(&acceptor.fd);
		ft_close(&acceptor.listener);
		node_close(&client);
	}
	TH_LOG("%d of %d were sent after the accept", sent, rounds);
	pthread_barrier_destroy(&barrier);
}

/*
 * Random sends, reads and closes. What the kernel answers is compared with a
 * search in a model of the graph.
 */

#define CHURN_NODES	12
#define CHURN_QUEUE	8

struct churn {
	struct node node;
	int queue[CHURN_QUEUE];	/* nodes whose @out lies here, oldest first */
	int n;
};

static bool churn_reaches(const struct churn *churn, int from, int to,
			  unsigned int *seen)
{
	int i;

	if (from == to)
		return true;
	if (*seen & 1U << from)
		return false;
	*seen |= 1U << from;
	for (i = 0; i < churn[from].n; i++)
		if (churn_reaches(churn, churn[from].queue[i], to, seen))
			return true;
	return false;
}

/* A simple generator with a fixed seed: a failure can be repeated. */
static unsigned int churn_random(unsigned int *state)
{
	*state = *state * 1103515245 + 12345;
	return *state >> 16 & 0x7fff;
}

/*
 * Closes a node. Those that hold it in their queues are emptied first, since it
 * would live on there without a number in the model.
 */
static void churn_close(struct churn *churn, int node)
{
	int i, j;

	for (i = 0; i < CHURN_NODES; i++) {
		for (j = 0; j < churn[i].n; j++) {
			if (churn[i].queue[j] != node)
				continue;
			while (take(&churn[i].node))
				;
			churn[i].n = 0;
		}
	}
	node_close(&churn[node].node);
	churn[node].n = 0;
}

TEST_F_TIMEOUT(graph, X01_random_churn_against_a_model, FT_SLOW_S)
{
	struct churn churn[CHURN_NODES];
	unsigned int state = 18;
	int loops = 0, i, step;

	memset(churn, 0, sizeof(churn));
	for (i = 0; i < CHURN_NODES; i++)
		ASSERT_TRUE(node_make(&variant->kind, &churn[i].node));
	for (step = 0; step < 3000; step++) {
		int a = churn_random(&state) % CHURN_NODES;
		int b = churn_random(&state) % CHURN_NODES;
		int what = churn_random(&state) % 16;
		unsigned int seen = 0;

		if (what < 9) {
			bool loop = churn_reaches(churn, b, a, &seen);

			if (churn[a].n == CHURN_QUEUE)
				continue;
			ASSERT_EQ(loop ? ELOOP : 0,
				  put(&churn[a].node, churn[b].node.out)) {
				TH_LOG("step %d: %d into %d", step, b, a);
			}
			loops += loop;
			if (!loop)
				churn[a].queue[churn[a].n++] = b;
		} else if (what < 15) {
			ASSERT_EQ(churn[a].n > 0, take(&churn[a].node));
			if (churn[a].n) {
				memmove(churn[a].queue, churn[a].queue + 1,
					sizeof(churn[a].queue) - sizeof(int));
				churn[a].n--;
			}
		} else {
			/*
			 * Closed with all that lies in them: what the model
			 * could not number any more goes as well.
			 */
			for (i = 0; i < CHURN_NODES; i++) {
				if (i != a && i != b && churn_random(&state) % 4)
					continue;
				churn_close(churn, i);
				ASSERT_TRUE(node_make(&variant->kind,
						      &churn[i].node));
			}
		}
	}
	EXPECT_LT(100, loops);
	for (i = 0; i < CHURN_NODES; i++)
		node_close(&churn[i].node);
}

TEST_HARNESS_MAIN
