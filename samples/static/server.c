/* A web server of one file and no library at run time: answers each request with one line. */
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static void leave(int signal)
{
    _exit(signal == SIGTERM ? 0 : 1);
}

static int fail(const char *what)
{
    perror(what);
    return 1;
}

int main(void)
{
    /* The first process of a namespace gets no signal that it has no handler for. */
    signal(SIGTERM, leave);
    signal(SIGPIPE, SIG_IGN);
    int listener = socket(AF_INET, SOCK_STREAM, 0);
    struct sockaddr_in address;
    memset(&address, 0, sizeof address);
    address.sin_family = AF_INET;
    address.sin_port = htons(8080);
    address.sin_addr.s_addr = htonl(INADDR_ANY);
    int on = 1;
    if (listener < 0 || setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0)
        return fail("socket");
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16) != 0)
        return fail("listen");
    for (;;) {
        int client = accept(listener, NULL, NULL);
        if (client < 0)
            return fail("accept");
        char request[2048], body[64], answer[256];
        if (read(client, request, sizeof request) > 0) {
            int length = snprintf(body, sizeof body, "compiled in a stage, user %d\n", (int)getuid());
            int total = snprintf(answer, sizeof answer, "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: %d\r\nConnection: close\r\n\r\n%s", length, body);
            if (write(client, answer, total) != total)
                perror("write");
        }
        close(client);
    }
}
