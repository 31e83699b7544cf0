/* Delays what device servers and the gateway send to each other, as a network between them does; see link.py.

   usage: delay MICROSECONDS LISTEN_PORT TARGET_PORT [LISTEN_PORT TARGET_PORT]...

   Each pair of ports of 127.0.0.1 is relayed. Two threads for each connection, one for each direction: what arrives is
   passed on so many microseconds after it has arrived. Ends with its parent. */

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

static long delay_in_ns;

typedef struct {
    int listening;
    struct sockaddr_in target;
} Port;

typedef struct {
    int source, sink;
} Direction;

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

static void fail(const char *text) {
    perror(text);
    exit(1);
}

static void send_at_once(int connection) {
    int on = 1;
    setsockopt(connection, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
}

static void wait_for_delay(struct timespec arrival) {
    arrival.tv_nsec += delay_in_ns;
    arrival.tv_sec += arrival.tv_nsec / 1000000000;
    arrival.tv_nsec %= 1000000000;
    clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &arrival, NULL);
}

static int send_all(int sink, const char *data, ssize_t size) {
    while (size > 0) {
        ssize_t sent = send(sink, data, size, MSG_NOSIGNAL);
        if (sent <= 0) return 0;
        data += sent;
        size -= sent;
    }
    return 1;
}

static void *relay(void *argument) {
    Direction direction = *(Direction *)argument;
    size_t room = 1 << 20;
    char *data = malloc(room);
    struct timespec arrival;
    ssize_t size;
    free(argument);
    prctl(PR_SET_TIMERSLACK, 1UL); /* else a sleep takes 50 us more */
    while ((size = recv(direction.source, data, room, 0)) > 0) {
        clock_gettime(CLOCK_MONOTONIC, &arrival);
        wait_for_delay(arrival);
        if (!send_all(direction.sink, data, size)) break;
    }
    free(data);
    shutdown(direction.source, SHUT_RD);
    shutdown(direction.sink, SHUT_WR);
    return NULL;
}

static void start(void *(*run)(void *), void *argument) {
    pthread_t thread;
    if (pthread_create(&thread, NULL, run, argument)) fail("thread");
    pthread_detach(thread);
}

static void relay_in(int source, int sink) {
    Direction *direction = malloc(sizeof *direction);
    *direction = (Direction){source, sink};
    send_at_once(sink);
    start(relay, direction);
}

static void *serve(void *argument) {
    Port *port = argument;
    for (;;) {
        int client = accept(port->listening, NULL, NULL), server = socket(AF_INET, SOCK_STREAM, 0);
        if (client < 0 || server < 0) fail("connection");
        if (connect(server, (struct sockaddr *)&port->target, sizeof port->target)) {
            close(client);
            close(server);
            continue;
        }
        relay_in(client, server);
        relay_in(server, client);
    }
}

static void listen_on(const char *listening, const char *target) {
    Port *port = malloc(sizeof *port);
    struct sockaddr_in address = loopback(atoi(listening));
    int on = 1;
    port->target = loopback(atoi(target));
    port->listening = socket(AF_INET, SOCK_STREAM, 0);
    setsockopt(port->listening, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(port->listening, (struct sockaddr *)&address, sizeof address) || listen(port->listening, 256)) fail(listening);
    start(serve, port);
}

int main(int count, char **arguments) {
    if (count < 4 || count % 2) return 2;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    delay_in_ns = 1000 * atol(arguments[1]);
    for (int number = 2; number < count; number += 2) listen_on(arguments[number], arguments[number + 1]);
    for (;;) pause();
}
