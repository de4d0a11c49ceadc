/* A cheap SNMP client for the time that one answer takes.
 *
 * getter PORT COUNT < MESSAGES
 *
 * Sends the messages, one a line in hexadecimal digits, one after the other and again from the first, waits for each answer,
 * and prints the median and the 99th percentile of COUNT answers in microseconds. Exits with 1 when one does not come within
 * two seconds.
 */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <time.h>

#define MESSAGES 4096
#define LONGEST 1500

static unsigned char messages[MESSAGES][LONGEST];
static int sizes[MESSAGES];

static int before(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return x < y ? -1 : x > y;
}

int main(int argc, char **argv)
{
    if (argc != 3) { fprintf(stderr, "getter PORT COUNT < MESSAGES\n"); return 2; }
    struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1])), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_DGRAM, 0), count = atoi(argv[2]), known = 0;
    struct timeval patience = {2, 0};
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience);
    if (connect(fd, (struct sockaddr *)&to, sizeof to)) { perror("connect"); return 1; }
    static char line[2 * LONGEST + 2];
    while (known < MESSAGES && fgets(line, sizeof line, stdin)) {
        int size = strcspn(line, "\n") / 2;
        for (int i = 0; i < size; i++) { unsigned octet; sscanf(line + 2 * i, "%2x", &octet); messages[known][i] = octet; }
        sizes[known++] = size;
    }
    if (!known) { fprintf(stderr, "no messages\n"); return 2; }
    double *took = malloc(count * sizeof *took);
    static unsigned char answer[65536];
    for (int i = 0; i < count; i++) {
        struct timespec begin, end;
        clock_gettime(CLOCK_MONOTONIC, &begin);
        if (send(fd, messages[i % known], sizes[i % known], 0) < 0) { perror("send"); return 1; }
        if (recv(fd, answer, sizeof answer, 0) <= 0) { perror("recv"); return 1; }
        clock_gettime(CLOCK_MONOTONIC, &end);
        took[i] = (end.tv_sec - begin.tv_sec) * 1e6 + (end.tv_nsec - begin.tv_nsec) / 1e3;
    }
    qsort(took, count, sizeof *took, before);
    printf("%.2f %.2f\n", took[count / 2], took[count * 99L / 100]);
    return 0;
}
