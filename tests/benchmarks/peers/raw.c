/* The limit: polls and reports of fixed size over plain TCP, epoll, one thread, nothing else.

   raw respond POLL_BYTES REPORT_HEX                            prints its port as JSON, ends with its stdin
   raw poll PORT LINKS SECONDS OUTSTANDING INTERVAL POLL_HEX REPORT_BYTES
                                                                prints what it measured as JSON; INTERVAL 0: no rhythm */

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { BATCH = 256, BUFFER = 65536 };

struct link {
    int fd;
    uint32_t had;     /* bytes of an unfinished message */
    int64_t began;    /* ns; 0: nothing is outstanding */
};

struct load {
    uint32_t *taken;  /* ns of each poll */
    size_t polls, room;
    int64_t stall;
};

static char buffer[BUFFER];
static struct epoll_event events[BATCH];

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static int64_t now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static size_t from_hex(const char *hex, char *bytes)
{
    size_t length = strlen(hex) / 2;
    for (size_t i = 0; i < length; i++) {
        unsigned value;
        if (length > BUFFER || sscanf(hex + 2 * i, "%2x", &value) != 1)
            fail("hex");
        bytes[i] = (char)value;
    }
    return length;
}

static void watch(int epoll, int fd, uint64_t data)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = data};
    if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) < 0)
        fail("epoll_ctl");
}

static void quick(int fd)
{
    int one = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    fcntl(fd, F_SETFL, O_NONBLOCK);
}

static void all_descriptors(void)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
}

/* ---- the responder ---- */

static int listening(void)
{
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    if (fd < 0 || bind(fd, (struct sockaddr *)&at, size) < 0 || listen(fd, 4096) < 0)
        fail("listen");
    getsockname(fd, (struct sockaddr *)&at, &size);
    printf("{\"port\": %d}\n", ntohs(at.sin_port));
    fflush(stdout);
    return fd;
}

static void respond(uint32_t poll_bytes, const char *report, size_t report_bytes)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    uint32_t *had = calloc(limit.rlim_cur, sizeof *had);
    int epoll = epoll_create1(0), door = listening();
    if (!had)
        fail("calloc");
    watch(epoll, door, (uint64_t)door);
    watch(epoll, 0, 0);
    for (;;) {
        int ready = epoll_wait(epoll, events, BATCH, -1);
        for (int i = 0; i < ready; i++) {
            int fd = (int)events[i].data.u64;
            if (fd == door) {
                int link = accept(door, NULL, NULL);
                if (link < 0)
                    fail("accept");
                quick(link);
                had[link] = 0;
                watch(epoll, link, (uint64_t)link);
                continue;
            }
            ssize_t got = read(fd, buffer, BUFFER);
            if (got < 0 && errno == EAGAIN)
                continue;
            if (got <= 0) {
                if (fd == 0)
                    return;
                close(fd);
                continue;
            }
            for (had[fd] += (uint32_t)got; had[fd] >= poll_bytes; had[fd] -= poll_bytes)
                if (write(fd, report, report_bytes) != (ssize_t)report_bytes)
                    fail("write");
        }
    }
}

/* ---- the poller ---- */

static long resident(void)
{
    long size = 0, pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (!file || fscanf(file, "%ld %ld", &size, &pages) != 2)
        fail("statm");
    fclose(file);
    return pages * sysconf(_SC_PAGESIZE);
}

static void dial(struct link *link, int port)
{
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    link->fd = socket(AF_INET, SOCK_STREAM, 0);
    if (link->fd < 0 || connect(link->fd, (struct sockaddr *)&to, sizeof to) < 0)
        fail("connect");
    quick(link->fd);
}

static void ask(struct link *link, const char *poll, size_t bytes)
{
    link->began = now(CLOCK_MONOTONIC);
    if (write(link->fd, poll, bytes) != (ssize_t)bytes)
        fail("write");
}

static int answered(struct link *link, size_t report_bytes)
{
    ssize_t got = read(link->fd, buffer, BUFFER);
    if (got < 0 && errno == EAGAIN)
        return 0;
    if (got <= 0)
        fail("read");
    link->had += (uint32_t)got;
    if (link->had < report_bytes)
        return 0;
    link->had = 0;
    return 1;
}

static void note(struct load *load, int64_t taken)
{
    if (load->polls == load->room) {
        load->room = load->room ? 2 * load->room : 1 << 16;
        load->taken = realloc(load->taken, load->room * sizeof *load->taken);
        if (!load->taken)
            fail("realloc");
    }
    load->taken[load->polls++] = (uint32_t)taken;
}

static int ascending(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
    return (x > y) - (x < y);
}

static void tell(const char *name, struct load *load, int64_t wall, int64_t cpu)
{
    double polls = (double)load->polls;
    if (!load->polls)
        fail("no polls");
    qsort(load->taken, load->polls, sizeof *load->taken, ascending);
    printf("\"%s\": {\"polls\": %zu, \"seconds\": %.6f, \"cpu_us\": %.4f, \"busy\": %.4f, \"p50_ms\": %.6f, "
           "\"p99_ms\": %.6f, \"stall_ms\": %.6f}",
           name, load->polls, wall / 1e9, cpu / 1e3 / polls, (double)cpu / (double)wall,
           load->taken[(size_t)(polls * 0.50)] / 1e6, load->taken[(size_t)(polls * 0.99)] / 1e6,
           load->stall / 1e6);
}

/* `outstanding` polls at once, the next one as soon as one is answered; or, with an interval, each link
   once in it, evenly spread. */
static void run(const char *name, int epoll, struct link *links, size_t count, double seconds,
                size_t outstanding, double interval, const char *poll, size_t poll_bytes, size_t report_bytes)
{
    struct load load = {0};
    size_t next = 0;
    int64_t began = now(CLOCK_MONOTONIC), cpu = now(CLOCK_PROCESS_CPUTIME_ID);
    int64_t until = began + (int64_t)(seconds * 1e9), step = (int64_t)(interval * 1e9 / (double)count);
    if (!step)
        for (; next < outstanding; next++)
            ask(&links[next % count], poll, poll_bytes);
    int64_t woke = began;
    while (woke < until) {
        int wait = 1000;
        if (step) {
            for (int64_t due; (due = began + (int64_t)next * step) <= woke && due < until; next++) {
                if (woke - due > load.stall)
                    load.stall = woke - due;
                ask(&links[next % count], poll, poll_bytes);
            }
            int64_t left = began + (int64_t)next * step - now(CLOCK_MONOTONIC);
            wait = left > 0 ? (int)((left + 999999) / 1000000) : 0;
        }
        int64_t slept = now(CLOCK_MONOTONIC);
        if (!step && slept - woke > load.stall)
            load.stall = slept - woke;
        int ready = epoll_wait(epoll, events, BATCH, wait);
        woke = now(CLOCK_MONOTONIC);
        for (int i = 0; i < ready; i++) {
            struct link *link = &links[events[i].data.u64];
            if (!answered(link, report_bytes))
                continue;
            note(&load, now(CLOCK_MONOTONIC) - link->began);
            link->began = 0;
            if (step)
                continue;
            while (links[next % count].began)
                next++;
            ask(&links[next++ % count], poll, poll_bytes);
        }
    }
    int64_t wall = woke - began;
    cpu = now(CLOCK_PROCESS_CPUTIME_ID) - cpu;
    tell(name, &load, wall, cpu);
    free(load.taken);
    for (size_t i = 0; i < count; i++)
        while (links[i].began)
            if (answered(&links[i], report_bytes))
                links[i].began = 0;
}

int main(int argc, char **argv)
{
    static char message[BUFFER];
    all_descriptors();
    if (argc == 4 && !strcmp(argv[1], "respond")) {
        respond((uint32_t)atoi(argv[2]), message, from_hex(argv[3], message));
        return 0;
    }
    if (argc != 9 || strcmp(argv[1], "poll")) {
        fprintf(stderr, "raw respond POLL_BYTES REPORT_HEX | "
                        "raw poll PORT LINKS SECONDS OUTSTANDING INTERVAL POLL_HEX REPORT_BYTES\n");
        return 2;
    }
    size_t count = (size_t)atol(argv[3]), outstanding = (size_t)atol(argv[5]);
    double seconds = atof(argv[4]), interval = atof(argv[6]);
    size_t poll_bytes = from_hex(argv[7], message), report_bytes = (size_t)atol(argv[8]);
    long before = resident();
    int epoll = epoll_create1(0);
    struct link *links = calloc(count, sizeof *links);
    if (!links)
        fail("calloc");
    for (size_t i = 0; i < count; i++) {
        dial(&links[i], atoi(argv[2]));
        watch(epoll, links[i].fd, i);
        ask(&links[i], message, poll_bytes);
        while (!answered(&links[i], report_bytes))
            ;
        links[i].began = 0;
    }
    printf("{\"rss_kib\": %.4f, ", (double)(resident() - before) / 1024 / (double)count);
    run("saturated", epoll, links, count, seconds, outstanding < count ? outstanding : count, 0, message,
        poll_bytes, report_bytes);
    if (interval > 0) {
        printf(", ");
        run("rhythm", epoll, links, count, seconds > interval ? seconds : interval, 0, interval, message,
            poll_bytes, report_bytes);
    }
    printf("}\n");
    return 0;
}
