/* A host for uams_srp.so: loads it as afpd does, has the functions it wants, and does what standard input says, one command a line.
 *
 *   path FILE                          where the verifiers are ("-": nowhere)
 *   user NAME UID SHELL FULL-NAME      a system user; SHELL is 1 or 0; a NAME of "-" stands for none at all
 *   level N                            the log's level
 *   client ADDRESS                     from now on the program has a client there, on a socket like that of a child of afpd ("-": none)
 *   directory                          from now on the program has a connection that is no client's, as to a user directory
 *   load FILE, unload                  dlopen, setup; cleanup, dlclose
 *   login INPUT                        FPLogin; bytes are in hex here and below, "-" is none, "null" a NULL pointer, "minus" a length of -1
 *   login_ext TYPE LENGTH NAME INPUT   FPLoginExt; the type and length before the name may lie
 *   cont INPUT                         FPLoginCont
 *   logout, heap, log
 *   overrun                            writes past a block, for a memory checker to see
 *
 * Each is answered by one line. Every buffer ends where its page ends, the next one cannot be touched, and no other alignment is given than what comes
 * of that; so a byte too many, read or written, ends the program at once, with or without a memory checker. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <ctype.h>
#include <dlfcn.h>
#include <malloc.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#define REPLY 65536
#define NOT_AN_OBJ ((void *)0x0b1)

struct module { int type, version; int (*setup)(void *, const char *); void (*cleanup)(void); };
/* The lengths are wider than afpd's int on purpose: the upper half is filled with what the module must not look at. */
typedef int (*login_fn)(void *, struct passwd **, char *, uint64_t, char *, size_t *);
typedef int (*login_ext_fn)(void *, char *, struct passwd **, char *, uint64_t, char *, size_t *);
#define UPPER 0xdeadbeef00000000u

static struct { int type; char path[512]; const char *name; login_fn login, cont; void (*logout)(void *); login_ext_fn login_ext; } method;
static struct { char name[64], full_name[64]; unsigned uid; int shell; } users[32];
static int user_count;
static char verifiers[512], user_name[256], log_lines[1 << 16];

static void fail(const char *what) { printf("FAILED %s\n", what); fflush(stdout); exit(9); }

/* ---- what afpd exports ---- */

int uam_register(const int type, const char *path, const char *name, ...)
{
    va_list ap;
    if (strcmp(name, "SRP")) return -1;
    method.type = type; method.name = name;
    snprintf(method.path, sizeof method.path, "%s", path);
    va_start(ap, name);
    method.login = va_arg(ap, login_fn); method.cont = va_arg(ap, login_fn);
    method.logout = va_arg(ap, void (*)(void *)); method.login_ext = va_arg(ap, login_ext_fn);
    va_end(ap);
    return 0;
}

void uam_unregister(const int type, const char *name)
{
    if (type != 1 || strcmp(name, "SRP")) fail("unregistered as something else");
    memset(&method, 0, sizeof method);
}

struct passwd *uam_getname(void *obj, char *name, const int length)
{
    static struct passwd found;
    static char real[64];
    if (obj != NOT_AN_OBJ) fail("uam_getname: not afpd's obj");
    for (int pass = 0; pass < 2; pass++)
        for (int i = 0; i < user_count; i++) {
            bool same = pass == 0 ? !strcmp(users[i].name, name) : !strcasecmp(users[i].name, name) || !strcasecmp(users[i].full_name, name);
            if (!same) continue;
            memset(&found, 0, sizeof found);
            strcpy(real, users[i].name);
            found.pw_name = strcmp(real, "nameless") ? real : NULL;
            found.pw_uid = users[i].uid;
            found.pw_shell = users[i].shell ? "/bin/sh" : "/usr/sbin/nologin";
            memset(name, 'x', length); /* all of it is the host's to write to */
            snprintf(name, length, "%s", real);
            return &found;
        }
    return NULL;
}

int uam_checkuser(void *obj, const struct passwd *user)
{
    if (obj != NOT_AN_OBJ) fail("uam_checkuser: not afpd's obj");
    return strcmp(user->pw_shell, "/bin/sh") ? -1 : 0;
}

int uam_afpserver_option(void *obj, const int what, void *option, size_t *length)
{
    if (obj != NOT_AN_OBJ) fail("uam_afpserver_option: not afpd's obj");
    if (what == 1) { *(char **)option = user_name; *length = 255; return 0; }
    if (what == 4 && *length == 4) {
        *(const char **)option = *verifiers ? verifiers : NULL;
        *length = strlen(verifiers);
        return 0;
    }
    return -1;
}

/* ---- what its library exports ---- */

struct log_kind { bool set, syslog; int file, level, display; bool microseconds; } type_configs[11
#ifdef OTHER_LOG
    + 1
#endif
] = { [7] = { .level = 6 } };

void make_log_entry(int level, int kind, const char *file, bool microseconds, int line, const char *format, ...)
{
    size_t used = strlen(log_lines);
    va_list ap;
    (void)line;
    if (used > sizeof log_lines / 2) used = *log_lines = 0;
    if (kind != 7 || !file || microseconds != type_configs[7].microseconds || level > type_configs[7].level) fail("log");
#ifdef OTHER_LOG
    fail("the log was written to although its layout is not known");
#endif
    snprintf(log_lines + used, sizeof log_lines - used, "%d ", level);
    used = strlen(log_lines);
    va_start(ap, format);
    vsnprintf(log_lines + used, sizeof log_lines - used - 1, format, ap);
    va_end(ap);
    if (strchr(log_lines + used, '\n')) fail("a line feed in a log line");
    strcat(log_lines, "\t");
}

/* ---- the commands ---- */

/* So many bytes that end at the end of a page; what follows cannot be touched. */
struct buffer { char *map, *bytes; size_t mapped, length; };

static struct buffer buffer(size_t length)
{
    size_t page = sysconf(_SC_PAGESIZE), pages = (length + page - 1) / page * page;
    struct buffer b = { .mapped = pages + page, .length = length };
    b.map = mmap(NULL, b.mapped, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (b.map == MAP_FAILED || mprotect(b.map + pages, page, PROT_NONE)) fail("mmap");
    b.bytes = b.map + pages - length;
    return b;
}

static void release(struct buffer b) { munmap(b.map, b.mapped); }

static struct buffer from_hex(const char *hex)
{
    size_t digits = strcmp(hex, "-") && strcmp(hex, "null") && strcmp(hex, "minus") ? strlen(hex) : 0;
    struct buffer b = buffer(digits / 2);
    for (size_t i = 0; i < digits / 2; i++) { unsigned byte; sscanf(hex + 2 * i, "%2x", &byte); b.bytes[i] = byte; }
    return b;
}

static char *bytes(struct buffer b, const char *hex) { return strcmp(hex, "null") ? b.bytes : NULL; }

static void call(int which, struct buffer name, const char *hex)
{
    struct buffer input = from_hex(hex), reply = buffer(REPLY);
    struct passwd *user = NULL;
    uint64_t given = UPPER | (strcmp(hex, "minus") ? input.length : 0xffffffffu);
    size_t length = which == 2 ? REPLY : 0;
    int code;
    memset(reply.bytes, 0xa5, REPLY);
    if (which == 0) code = method.login(NOT_AN_OBJ, &user, bytes(input, hex), given, reply.bytes, &length);
    else if (which == 1) code = method.login_ext(NOT_AN_OBJ, name.length ? name.bytes : NULL, &user, bytes(input, hex), given, reply.bytes, &length);
    else code = method.cont(NOT_AN_OBJ, &user, bytes(input, hex), given, reply.bytes, &length);
    if (length >= REPLY) fail("the length of the reply was not set");
    for (size_t i = length; i < REPLY; i++) if ((unsigned char)reply.bytes[i] != 0xa5) fail("more written than said");
    printf("%d %s %s ", code, user ? user->pw_name : "-", *user_name ? user_name : "-");
    for (size_t i = 0; i < length; i++) printf("%02x", (unsigned char)reply.bytes[i]);
    printf("%s\n", length ? "" : "-");
    release(input); release(reply);
}

/* A connection of the program with itself, both ends: from an address, to a port below those the system chooses for clients ("-": neither matters). */
static void connected(const char *from, int *server, int *client)
{
    struct sockaddr_in there = { .sin_family = AF_INET }, here = there;
    socklen_t length = sizeof here;
    int listener = socket(AF_INET, SOCK_STREAM, 0), port = strcmp(from, "-") ? 10000 : 0;
    *client = socket(AF_INET, SOCK_STREAM, 0);
    here.sin_addr.s_addr = there.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (port && inet_pton(AF_INET, from, &there.sin_addr) != 1) fail("no address");
    do here.sin_port = htons(port++); while (bind(listener, (void *)&here, sizeof here) && port < 32768);
    if (listen(listener, 1) || getsockname(listener, (void *)&here, &length) || bind(*client, (void *)&there, sizeof there)
        || connect(*client, (void *)&here, sizeof here) || (*server = accept(listener, NULL, NULL)) < 0) fail("no connection");
    close(listener);
}

static void client_from(const char *address)
{
    static int client = -1;
    int other;
    if (client >= 0) close(client);
    client = -1;
    if (!strcmp(address, "-")) return;
    connected(address, &client, &other);
    close(other);
}

int main(void)
{
    static char line[1 << 20], name[1 << 10], hex[1 << 19];
    static char file[512];
    void *handle = NULL;
    struct module *module = NULL;
    unsigned uid, type, announced; int shell, at;
    while (fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (sscanf(line, "path %511s", verifiers) == 1) { if (!strcmp(verifiers, "-")) *verifiers = 0; puts("ok"); }
        else if (sscanf(line, "user %63s %u %d %n", name, &uid, &shell, &at) == 3) {
            snprintf(users[user_count].name, 64, "%.63s", name); snprintf(users[user_count].full_name, 64, "%.63s", line + at);
            users[user_count].uid = uid; users[user_count++].shell = shell; puts("ok");
        } else if (!strcmp(line, "directory")) { int both[2]; connected("-", &both[0], &both[1]); puts("ok");
        } else if (sscanf(line, "client %63s", name) == 1) { client_from(name); puts("ok");
        } else if (sscanf(line, "level %d", &type_configs[7].level) == 1) puts("ok");
        else if (sscanf(line, "load %511s", file) == 1) {
            char *slash = strrchr(file, '/'), symbol[64];
            snprintf(symbol, sizeof symbol, "%.*s", (int)strcspn(slash + 1, "."), slash + 1);
            handle = dlopen(file, RTLD_NOW | RTLD_GLOBAL);
            if (!handle) fail(dlerror());
            module = dlsym(handle, symbol);
            if (!module) fail(dlerror());
            *user_name = 0;
            int failed = module->setup(NOT_AN_OBJ, file);
            printf("%d type %d version %d method %d path %s\n", failed, module->type, module->version, method.type, method.path);
        } else if (!strcmp(line, "unload")) {
            module->cleanup();
            if (method.name) fail("still registered after cleanup");
            if (dlclose(handle)) fail(dlerror());
            handle = dlopen(file, RTLD_NOW | RTLD_NOLOAD);
            puts(handle ? "stays" : "gone");
        } else if (sscanf(line, "login_ext %u %u %1023s %524287s", &type, &announced, name, hex) == 4) {
            struct buffer bare = from_hex(name), whole = strcmp(name, "null") ? buffer(bare.length + 3) : buffer(0);
            if (whole.length) {
                whole.bytes[0] = type; whole.bytes[1] = announced >> 8; whole.bytes[2] = announced;
                memcpy(whole.bytes + 3, bare.bytes, bare.length);
            }
            call(1, whole, hex);
            release(bare); release(whole);
        } else if (sscanf(line, "login %524287s", hex) == 1) call(0, (struct buffer){ 0 }, hex);
        else if (sscanf(line, "cont %524287s", hex) == 1) call(2, (struct buffer){ 0 }, hex);
        else if (!strcmp(line, "logout")) { method.logout(NOT_AN_OBJ); *user_name = 0; puts("ok"); }
        else if (!strcmp(line, "heap")) printf("%zu\n", mallinfo2().uordblks);
        else if (!strcmp(line, "log")) { puts(log_lines); *log_lines = 0; }
        else if (!strcmp(line, "overrun")) { void *(*volatile set)(void *, int, size_t) = memset; char *block = malloc(8); set(block, 0, 9); free(block); puts("ok"); }
        else fail("no such command");
        fflush(stdout);
    }
    return 0;
}
