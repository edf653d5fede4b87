/* What Testcontainers' own reaper does, which comes from a registry: it waits for filters on port 8080, a line each, answers each with ACK, and
 * removes the containers that match when the connection ends, by the engine's socket that is mounted into its container. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

/* Sends a request to the engine; the answer with its headers. */
static char *ask(const char *method, const char *path)
{
    static char answer[1 << 20];
    struct sockaddr_un address = { .sun_family = AF_UNIX, .sun_path = "/var/run/docker.sock" };
    int engine = socket(AF_UNIX, SOCK_STREAM, 0);
    size_t length = 0;
    ssize_t got;
    if (connect(engine, (struct sockaddr *)&address, sizeof address) != 0)
        fail("/var/run/docker.sock");
    dprintf(engine, "%s %s HTTP/1.0\r\nHost: engine\r\nContent-Length: 0\r\n\r\n", method, path);
    while ((got = read(engine, answer + length, sizeof answer - 1 - length)) > 0)
        length += (size_t)got;
    answer[length] = 0;
    close(engine);
    return answer;
}

/* label=a&label=b as the value of the API's filters, escaped for a query. */
static void escape(char *query, char *line)
{
    const char *separator = "";
    strcpy(query, "%7B%22label%22%3A%5B");
    for (char *part = strtok(line, "&"); part; part = strtok(NULL, "&"), separator = "%2C") {
        if (strncmp(part, "label=", 6) != 0)
            exit(2);
        sprintf(query + strlen(query), "%s%%22%s%%22", separator, part + 6);
    }
    strcat(query, "%5D%7D");
}

int main(void)
{
    struct sockaddr_in address = { .sin_family = AF_INET, .sin_port = htons(8080) };
    int listener = socket(AF_INET, SOCK_STREAM, 0), one = 1, queries = 0;
    static char line[4096], query[16][8192], path[16384], self[64];
    gethostname(self, sizeof self - 1);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) != 0 || listen(listener, 16) != 0)
        fail("port 8080");
    puts("Started!");
    fflush(stdout);
    while (queries == 0) {
        /* Connections without a word only look whether the port is open. */
        FILE *client = fdopen(accept(listener, NULL, NULL), "r+");
        while (queries < 16 && fgets(line, sizeof line, client)) {
            line[strcspn(line, "\r\n")] = 0;
            if (line[0] == 0)
                continue;
            escape(query[queries++], line);
            fputs("ACK\n", client);
            fflush(client);
        }
        fclose(client);
    }
    for (int i = 0; i < queries; i++) {
        snprintf(path, sizeof path, "/containers/json?all=1&filters=%s", query[i]);
        char *list = strdup(ask("GET", path));
        for (char *id = list; (id = strstr(id, "\"Id\":\"")); id += 6) {
            /* Its own goes when it ends. */
            if (strncmp(id + 6, self, strlen(self)) == 0)
                continue;
            snprintf(path, sizeof path, "/containers/%.64s?force=1&v=1", id + 6);
            ask("DELETE", path);
        }
        snprintf(path, sizeof path, "/networks/prune?filters=%s", query[i]);
        ask("POST", path);
    }
    return 0;
}
