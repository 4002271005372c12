// SPDX-License-Identifier: GPL-2.0
/*
 * Sockets in queues of sockets: a send that would close a cycle is refused, so
 * nothing can keep itself alive, and what it takes to find out is bounded. X01, X08.
 *
 * Every test ends with all its descriptors closed and no socket left, which is
 * what a cycle would break.
 */

#include "passenger.h"
#include "tracefs.h"
#include "kselftest_harness.h"

#include <sys/mman.h>
#include <sys/prctl.h>

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

/*
 * The same with listeners. An unaccepted child is a node of its own that its
 * listener leads to, and that counts as the listener when something is sent to
 * it.
 */

#define BUSY_NODES	6
#define BUSY_LISTENERS	3
#define BUSY_BACKLOG	3
#define BUSY_QUEUE	4

struct busy_node {
	struct node node;
	int queue[BUSY_QUEUE];	/* places whose @out lies here, oldest first */
	int n;
};

struct busy {
	/* Connections; from BUSY_NODES on, a listener is the @out. */
	struct busy_node place[BUSY_NODES + BUSY_LISTENERS];
	struct ft_addr addr[BUSY_LISTENERS];
	struct busy_node child[BUSY_LISTENERS][BUSY_BACKLOG];
	int children[BUSY_LISTENERS];
};

static bool busy_reaches(const struct busy *busy, int from, int to,
			 unsigned int *seen);

static bool busy_leads(const struct busy *busy, const struct busy_node *from,
		       int to, unsigned int *seen)
{
	int i;

	for (i = 0; i < from->n; i++)
		if (busy_reaches(busy, from->queue[i], to, seen))
			return true;
	return false;
}

static bool busy_reaches(const struct busy *busy, int from, int to,
			 unsigned int *seen)
{
	int l = from - BUSY_NODES, i;

	if (from == to)
		return true;
	if (*seen & 1U << from)
		return false;
	*seen |= 1U << from;
	for (i = 0; l >= 0 && i < busy->children[l]; i++)
		if (busy_leads(busy, &busy->child[l][i], to, seen))
			return true;
	return busy_leads(busy, &busy->place[from], to, seen);
}

/* Empties the queues that hold what lies at @place, before it is replaced. */
static bool busy_evict(struct busy *busy, int place)
{
	int i, j;

	for (i = 0; i < BUSY_NODES; i++) {
		struct busy_node *holder = &busy->place[i];

		for (j = 0; j < holder->n; j++)
			if (holder->queue[j] == place)
				break;
		if (j == holder->n)
			continue;
		for (; holder->n; holder->n--)
			if (!take(&holder->node))
				return false;
	}
	/* In the queue of a child nobody can read: the model sends no such thing. */
	return true;
}

/* Is @place in the queue of a child? Then it cannot be taken out. */
static bool busy_stuck(const struct busy *busy, int place)
{
	int l, c, i;

	for (l = 0; l < BUSY_LISTENERS; l++)
		for (c = 0; c < busy->children[l]; c++)
			for (i = 0; i < busy->child[l][c].n; i++)
				if (busy->child[l][c].queue[i] == place)
					return true;
	return false;
}

/* Resets a listener's connections and listens again, under another name. */
static bool busy_stop(struct busy *busy, int l)
{
	int fd = busy->place[BUSY_NODES + l].node.out;

	if (shutdown(fd, SHUT_RD))
		return false;
	while (busy->children[l])
		node_close(&busy->child[l][--busy->children[l]].node);
	return !listen(fd, BUSY_BACKLOG * 2);
}

/* The first connection takes the place of a node, with what lies in its queue. */
static bool busy_accept(struct busy *busy, int l, int place)
{
	struct busy_node *child = busy->child[l];

	if (!busy_evict(busy, place))
		return false;
	node_close(&busy->place[place].node);
	child->node.out = accept(busy->place[BUSY_NODES + l].node.out, NULL,
				 NULL);
	busy->place[place] = *child;
	busy->children[l]--;
	memmove(child, child + 1, busy->children[l] * sizeof(*child));
	return busy->place[place].node.out >= 0;
}

/* Sends what lies at @what into @to, which counts as @as. 0, or a wrong answer. */
static bool busy_send(struct busy *busy, struct busy_node *to, int as, int what,
		      int *loops)
{
	unsigned int seen = 0;
	bool loop;

	if (to->n == BUSY_QUEUE)
		return true;
	loop = busy_reaches(busy, what, as, &seen);
	if (put(&to->node, busy->place[what].node.out) != (loop ? ELOOP : 0))
		return false;
	*loops += loop;
	if (!loop)
		to->queue[to->n++] = what;
	return true;
}

TEST_F_TIMEOUT(graph, X01_random_churn_with_listeners, FT_SLOW_S)
{
	int loops = 0, accepts = 0, i, step;
	unsigned int state = 15;
	struct busy busy;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	memset(&busy, 0, sizeof(busy));
	for (i = 0; i < BUSY_NODES; i++)
		ASSERT_TRUE(node_make(&variant->kind, &busy.place[i].node));
	for (i = 0; i < BUSY_LISTENERS; i++) {
		struct node *node = &busy.place[BUSY_NODES + i].node;

		node->in = -1;
		node->out = ft_listener(&variant->kind, &busy.addr[i],
					BUSY_BACKLOG * 2);
		ASSERT_LE(0, node->out);
	}
	for (step = 0; step < 6000; step++) {
		int what = churn_random(&state) %
			   (BUSY_NODES + BUSY_LISTENERS);
		int to = churn_random(&state) % BUSY_NODES;
		int l = churn_random(&state) % BUSY_LISTENERS;
		int c = churn_random(&state) % BUSY_BACKLOG;
		int op = churn_random(&state) % 32;
		struct busy_node *node = &busy.place[to];
		bool ok = true;

		if (op < 11) {
			ok = busy_send(&busy, node, to, what, &loops);
		} else if (op < 18) {
			if (c < busy.children[l])
				ok = busy_send(&busy, &busy.child[l][c],
					       BUSY_NODES + l, what, &loops);
		} else if (op < 24) {
			ok = take(&node->node) == (node->n > 0);
			if (node->n)
				memmove(node->queue, node->queue + 1,
					--node->n * sizeof(int));
		} else if (op < 28) {
			struct busy_node *child;

			if (busy.children[l] == BUSY_BACKLOG)
				continue;
			child = &busy.child[l][busy.children[l]++];
			child->n = 0;
			child->node.out = -1;
			child->node.in = ft_connect(&variant->kind,
						    &busy.addr[l]);
			ok = child->node.in >= 0;
		} else if (op < 31) {
			/* What it replaces must not live on in a queue. */
			if (!busy.children[l] || busy_stuck(&busy, to))
				continue;
			ok = busy_accept(&busy, l, to);
			accepts++;
		} else {
			ok = busy_stop(&busy, l);
		}
		ASSERT_TRUE(ok) {
			TH_LOG("step %d: %d", step, op);
		}
	}
	EXPECT_LT(100, loops);
	EXPECT_LT(50, accepts);
	for (i = 0; i < BUSY_LISTENERS; i++)
		EXPECT_TRUE(busy_stop(&busy, i));
	for (i = 0; i < BUSY_NODES + BUSY_LISTENERS; i++)
		node_close(&busy.place[i].node);
}

/*
 * What a send costs others. SO_DEBUG of the receiver tells how many steps a
 * search took; there is none unless the receiver is in flight.
 */

#define SEARCH_MAX	4096

/* @n messages of @fds descriptors, all of them @what, into the queue of @to. */
static bool put_many(struct node *to, int what, int n, int fds)
{
	int fd[PASS_MAX_FDS], i;

	for (i = 0; i < fds; i++)
		fd[i] = what;
	for (i = 0; i < n; i++)
		if (pass_send(to->in, "x", 1, fd, fds, NULL,
			      MSG_DONTWAIT) != 1)
			return false;
	return true;
}

/* A search that comes to @hub looks at @steps descriptors from there. */
static bool hub_fill(struct node *hub, int leaf, int steps)
{
	return put_many(hub, leaf, steps / PASS_MAX_FDS, PASS_MAX_FDS) &&
	       (!(steps % PASS_MAX_FDS) ||
		put_many(hub, leaf, 1, steps % PASS_MAX_FDS));
}

/* Room for the messages that make up SEARCH_MAX descriptors and more. */
static bool hub_make(const struct ft_kind *kind, struct node *hub)
{
	return node_make(kind, hub) &&
	       !ft_setint(hub->in, SO_SNDBUFFORCE, 1 << 20) &&
	       !ft_setint(hub->out, SO_RCVBUFFORCE, 1 << 20);
}

/* How many searches the receiver saw, of so many steps unless that is negative. */
static int searches(struct tracefs *trace, int fd, int steps)
{
	uint64_t cookie = tracefs_cookie(fd);
	char last[48], more[48];

	if (steps < 0)
		return tracefs_count(trace, cookie, "event=search");
	/* Whether something follows in the line or not. */
	snprintf(last, sizeof(last), "event=search value=%d\n", steps);
	snprintf(more, sizeof(more), "event=search value=%d ", steps);
	return tracefs_count(trace, cookie, last) +
	       tracefs_count(trace, cookie, more);
}

TEST_F(graph, X08_a_search_has_an_end)
{
	struct node hub, leaf, to, box;
	struct tracefs trace;

	if (geteuid())
		SKIP(return, "needs root, who has no limit in flight");
	ASSERT_TRUE(hub_make(&variant->kind, &hub));
	ASSERT_TRUE(node_make(&variant->kind, &leaf));
	ASSERT_TRUE(node_make(&variant->kind, &to));
	ASSERT_TRUE(node_make(&variant->kind, &box));
	if (!tracefs_start(&trace, "ferry_debug"))
		SKIP(return, "no tracefs in this kernel");
	ASSERT_EQ(0, ft_setint(to.out, SO_DEBUG, 1));

	/* The hub itself is the first step. */
	ASSERT_TRUE(hub_fill(&hub, leaf.out, SEARCH_MAX - 1));
	/* To one that is in no queue nothing can lead. */
	EXPECT_EQ(0, put(&to, hub.out));
	EXPECT_TRUE(take(&to));
	EXPECT_EQ(0, searches(&trace, to.out, -1));
	/* Nor does what has nothing in its queue lead anywhere. */
	EXPECT_EQ(0, put(&box, to.out));
	EXPECT_EQ(0, put(&to, leaf.out));
	EXPECT_TRUE(take(&to));
	EXPECT_EQ(0, searches(&trace, to.out, -1));

	EXPECT_EQ(0, put(&to, hub.out));
	EXPECT_TRUE(take(&to));
	EXPECT_EQ(1, searches(&trace, to.out, SEARCH_MAX));
	/* One more is too much, */
	EXPECT_EQ(0, put(&hub, leaf.out));
	EXPECT_EQ(ETOOMANYREFS, put(&to, hub.out));
	EXPECT_EQ(0, ft_poll(to.out, POLLIN, 0));
	EXPECT_EQ(2, searches(&trace, to.out, SEARCH_MAX));
	/* whatever lies behind. */
	EXPECT_EQ(0, put(&hub, to.out));
	EXPECT_EQ(ETOOMANYREFS, put(&to, hub.out));
	EXPECT_EQ(3, searches(&trace, to.out, -1));
	/* Until there is less, */
	EXPECT_TRUE(take(&hub));
	EXPECT_EQ(ELOOP, put(&to, hub.out));
	EXPECT_EQ(4, searches(&trace, to.out, -1));
	/* or nothing leads to the receiver any more. */
	while (take(&hub))
		;
	ASSERT_TRUE(hub_fill(&hub, leaf.out, SEARCH_MAX));
	EXPECT_EQ(ETOOMANYREFS, put(&to, hub.out));
	EXPECT_EQ(5, searches(&trace, to.out, -1));
	EXPECT_TRUE(take(&box));
	EXPECT_EQ(0, put(&to, hub.out));
	EXPECT_EQ(5, searches(&trace, to.out, -1));

	tracefs_stop(&trace);
	node_close(&hub);
	node_close(&leaf);
	node_close(&to);
	node_close(&box);
}

TEST_F(graph, X08_children_without_sockets_cost_nothing)
{
	struct node leaf, to, box, client[200];
	struct tracefs trace;
	struct ft_addr addr;
	int listener, fd, i;

	if (variant->kind.type == SOCK_DGRAM)
		SKIP(return, "does not listen");
	if (geteuid())
		SKIP(return, "needs root to trace");
	listener = ft_listener(&variant->kind, &addr, ARRAY_SIZE(client));
	ASSERT_LE(0, listener);
	for (i = 0; i < (int)ARRAY_SIZE(client); i++) {
		client[i].out = -1;
		client[i].in = ft_connect(&variant->kind, &addr);
		ASSERT_LE(0, client[i].in);
	}
	ASSERT_TRUE(node_make(&variant->kind, &leaf));
	ASSERT_TRUE(node_make(&variant->kind, &to));
	ASSERT_TRUE(node_make(&variant->kind, &box));
	if (!tracefs_start(&trace, "ferry_debug"))
		SKIP(return, "no tracefs in this kernel");
	ASSERT_EQ(0, ft_setint(to.out, SO_DEBUG, 1));
	ASSERT_EQ(0, put(&box, to.out));

	EXPECT_EQ(0, put(&to, listener));
	EXPECT_TRUE(take(&to));
	EXPECT_EQ(0, searches(&trace, to.out, -1));
	/* Three of them have something, one of these in two messages. */
	EXPECT_EQ(0, put(&client[0], leaf.out));
	EXPECT_EQ(0, put(&client[7], leaf.out));
	EXPECT_EQ(0, put(&client[99], leaf.out));
	EXPECT_EQ(0, put(&client[99], leaf.out));
	EXPECT_EQ(0, put(&to, listener));
	EXPECT_TRUE(take(&to));
	EXPECT_EQ(1, searches(&trace, to.out, 1 + 3 + 4));
	/* What is accepted is no longer the listener's. */
	fd = accept(listener, NULL, NULL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(0, put(&to, listener));
	EXPECT_TRUE(take(&to));
	EXPECT_EQ(1, searches(&trace, to.out, 1 + 2 + 3));
	EXPECT_EQ(0, put(&to, fd));
	EXPECT_TRUE(take(&to));
	EXPECT_EQ(1, searches(&trace, to.out, 1 + 1));
	/* Nor are they when it stops. */
	EXPECT_EQ(0, shutdown(listener, SHUT_RD));
	EXPECT_EQ(0, put(&to, listener));
	EXPECT_EQ(3, searches(&trace, to.out, -1));

	tracefs_stop(&trace);
	ft_close(&fd);
	ft_close(&listener);
	CLOSE(client);
	node_close(&leaf);
	node_close(&to);
	node_close(&box);
}

#define SEARCHERS	16
#define VICTIM_ROUNDS	40

struct searcher {
	pthread_t thread;
	struct node node;
	int hub;
	atomic_long *sent;
};

static void *search_for_ever(void *arg)
{
	struct searcher *searcher = arg;

	for (;;) {
		if (!put(&searcher->node, searcher->hub))
			take(&searcher->node);
		atomic_fetch_add(searcher->sent, 1);
	}
	return NULL;
}

static int compare_long(const void *a, const void *b)
{
	long x = *(const long *)a, y = *(const long *)b;

	return x < y ? -1 : x > y;
}

/*
 * How many sends of the others end while this user passes @what once and takes
 * it out. A quarter of the rounds are better than what is returned: in the others
 * it may have waited for a processor, while they had one. Behind a lock that all
 * of them wait for hardly any is.
 */
static long sends_between(struct node *to, int what, atomic_long *sent)
{
	long n[VICTIM_ROUNDS], before;
	int i;

	for (i = 0; i < VICTIM_ROUNDS; i++) {
		before = atomic_load(sent);
		/* They are at it. */
		while (atomic_load(sent) == before)
			sched_yield();
		before = atomic_load(sent);
		if (put(to, what) || !take(to))
			return -1;
		n[i] = atomic_load(sent) - before;
	}
	qsort(n, VICTIM_ROUNDS, sizeof(*n), compare_long);
	return n[VICTIM_ROUNDS / 4];
}

TEST_F_TIMEOUT(graph, X08_one_search_of_another_user, FT_SLOW_S)
{
	struct searcher searcher[SEARCHERS];
	struct node hub, leaf, holder, to, box;
	struct ft_child child;
	atomic_long *sent;
	int i, fd[2];
	long n;

	if (geteuid())
		SKIP(return, "needs root to become somebody else");
	sent = mmap(NULL, sizeof(*sent), PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)sent);
	/* Each of their sends is a search as long as there can be. */
	ASSERT_TRUE(hub_make(&variant->kind, &hub));
	ASSERT_TRUE(node_make(&variant->kind, &leaf));
	ASSERT_TRUE(node_make(&variant->kind, &box));
	ASSERT_TRUE(hub_fill(&hub, leaf.out, SEARCH_MAX));
	for (i = 0; i < SEARCHERS; i++) {
		ASSERT_TRUE(node_make(&variant->kind, &searcher[i].node));
		ASSERT_EQ(0, put(&box, searcher[i].node.out));
		searcher[i].hub = hub.out;
		searcher[i].sent = sent;
	}
	if (!ft_fork(&child)) {
		if (!ft_become(40000, 40000))
			_exit(1);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (i = 0; i < SEARCHERS; i++)
			if (pthread_create(&searcher[i].thread, NULL,
					   search_for_ever, &searcher[i]))
				_exit(2);
		pause();
	}

	ASSERT_EQ(0, pipe2(fd, O_CLOEXEC));
	ASSERT_TRUE(node_make(&variant->kind, &to));
	ASSERT_TRUE(node_make(&variant->kind, &holder));
	n = sends_between(&to, fd[0], sent);
	TH_LOG("%ld sends of others for that of a pipe", n);
	EXPECT_LE(0, n);
	EXPECT_GE(SEARCHERS / 2, n);
	n = sends_between(&to, leaf.out, sent);
	TH_LOG("%ld sends of others for that of a socket", n);
	EXPECT_LE(0, n);
	EXPECT_GE(SEARCHERS / 2, n);
	/* With a search of its own. */
	ASSERT_EQ(0, put(&box, to.out));
	ASSERT_EQ(0, put(&holder, leaf.out));
	n = sends_between(&to, holder.out, sent);
	TH_LOG("%ld sends of others for that of a socket with a search", n);
	EXPECT_LE(0, n);
	EXPECT_GE(SEARCHERS / 2, n);

	kill(child.pid, SIGKILL);
	ft_wait_child(&child);
	munmap(sent, sizeof(*sent));
	for (i = 0; i < SEARCHERS; i++)
		node_close(&searcher[i].node);
	node_close(&hub);
	node_close(&leaf);
	node_close(&holder);
	node_close(&to);
	node_close(&box);
	ft_close(&fd[0]);
	ft_close(&fd[1]);
}

FT_HARNESS_MAIN
