// The first process of an emulated computer (emulate.py): runs the program of its arguments, says how that ended, and
// keeps the computer on until somebody has read it.
#include <sys/wait.h>
#include <unistd.h>

#include <cstdio>

int main(int, char** words) {
    const pid_t child = fork();
    if (child == 0) {
        execv(words[1], words + 1);
        std::perror(words[1]);
        _exit(127);
    }
    int status = 0;
    waitpid(child, &status, 0);
    std::printf("exit status %d\n", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
    std::fflush(stdout);
    for (;;) pause();
}
