/* A cheap SNMPv2c walker, so that a benchmark measures the agent and not its client.
 *
 * walker HOST PORT COMMUNITY OID MAX-REPETITIONS WALKS
 *
 * Walks the subtree WALKS times by GETBULK, one request at a time, and prints "varbinds requests seconds". Exits with 1 on
 * an error or when an answer does not come within two seconds.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

typedef unsigned char octet;

static octet root[160];
static int root_size;

static int put_length(octet *to, int n)
{
    if (n < 128) { to[0] = n; return 1; }
    if (n < 256) { to[0] = 0x81; to[1] = n; return 2; }
    to[0] = 0x82; to[1] = n >> 8; to[2] = n & 255; return 3;
}

static int put(octet *to, octet tag, const octet *contents, int n)
{
    octet copy[1024];
    memcpy(copy, contents, n);
    to[0] = tag;
    int header = 1 + put_length(to + 1, n);
    memcpy(to + header, copy, n);
    return header + n;
}

static int parse_oid(const char *text, octet *to)
{
    unsigned long arcs[128];
    int count = 0, size = 0;
    for (const char *p = text; *p;) {
        char *end;
        arcs[count++] = strtoul(p, &end, 10);
        p = *end == '.' ? end + 1 : end;
    }
    arcs[1] += 40 * arcs[0];
    for (int i = 1; i < count; i++) {
        octet groups[6];
        int n = 0;
        do { groups[n++] = arcs[i] & 127; arcs[i] >>= 7; } while (arcs[i]);
        while (n--) to[size++] = groups[n] | (n ? 128 : 0);
    }
    return size;
}

static int request(octet *out, const char *community, unsigned id, int repetitions, const octet *oid, int oid_size)
{
    octet a[1024], b[1024];
    octet number[4] = {id >> 24 & 127, id >> 16, id >> 8, id};
    octet bulk[4] = {0, 0, repetitions >> 8, repetitions};
    int n = put(a, 6, oid, oid_size);
    a[n++] = 5; a[n++] = 0;
    n = put(b, 0x30, a, n);
    n = put(a, 0x30, b, n);
    int m = put(b, 2, number, 4);
    m += put(b + m, 2, (octet *)"\0", 1);
    m += put(b + m, 2, bulk, 4);
    memcpy(b + m, a, n);
    n = put(a, 0xa5, b, m + n);
    m = put(b, 2, (octet *)"\1", 1);
    m += put(b + m, 4, (const octet *)community, strlen(community));
    memcpy(b + m, a, n);
    return put(out, 0x30, b, m + n);
}

/* Steps into the element at p: its tag, the start of its contents, and where it ends. */
static const octet *open_element(const octet *p, octet *tag, const octet **end)
{
    *tag = p[0];
    int n = p[1];
    p += 2;
    if (n & 128) {
        int k = n & 127;
        for (n = 0; k--;) n = n << 8 | *p++;
    }
    *end = p + n;
    return p;
}

/* Counts the variable bindings inside the subtree, remembers the last OID; 0 when the subtree is through, -1 on an error. */
static int answer(const octet *p, octet *oid, int *oid_size, long *count)
{
    octet tag;
    const octet *end, *stop, *value;
    p = open_element(p, &tag, &end);
    for (int i = 0; i < 2; i++) { open_element(p, &tag, &stop); p = stop; }
    p = open_element(p, &tag, &end);
    for (int i = 0; i < 3; i++) {
        const octet *at = open_element(p, &tag, &stop);
        if (i == 1 && *at != 0) return -1;
        p = stop;
    }
    p = open_element(p, &tag, &end);
    if (p == end) return -1;
    const octet *last = 0;
    int last_size = 0;
    while (p < end) {
        const octet *bind = open_element(p, &tag, &stop);
        const octet *oid_end, *name = open_element(bind, &tag, &oid_end);
        value = oid_end;
        if (oid_end - name < root_size || memcmp(name, root, root_size) || value[0] >= 0x80) return 0;
        last = name;
        last_size = oid_end - name;
        ++*count;
        p = stop;
    }
    memcpy(oid, last, last_size);
    *oid_size = last_size;
    return 1;
}

int main(int argc, char **argv)
{
    if (argc != 7) { fprintf(stderr, "walker HOST PORT COMMUNITY OID MAX-REPETITIONS WALKS\n"); return 2; }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[2]))};
    inet_pton(AF_INET, argv[1], &to.sin_addr);
    int fd = socket(AF_INET, SOCK_DGRAM, 0);
    struct timeval patience = {2, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) { perror("connect"); return 1; }
    root_size = parse_oid(argv[4], root);
    int repetitions = atoi(argv[5]), walks = atoi(argv[6]);
    static octet buffer[65536];
    octet oid[512];
    long varbinds = 0, requests = 0;
    unsigned id = 1;
    struct timespec begin, finish;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    while (walks--) {
        int size = root_size, more = 1;
        memcpy(oid, root, root_size);
        while (more) {
            octet out[1024];
            int n = request(out, argv[3], id++, repetitions, oid, size);
            if (send(fd, out, n, 0) != n) { perror("send"); return 1; }
            if (recv(fd, buffer, sizeof buffer, 0) <= 0) { perror("recv"); return 1; }
            requests++;
            more = answer(buffer, oid, &size, &varbinds);
            if (more < 0) { fprintf(stderr, "an error or an empty answer\n"); return 1; }
        }
    }
    clock_gettime(CLOCK_MONOTONIC, &finish);
    double seconds = finish.tv_sec - begin.tv_sec + (finish.tv_nsec - begin.tv_nsec) / 1e9;
    printf("%ld %ld %.6f\n", varbinds, requests, seconds);
    return 0;
}
