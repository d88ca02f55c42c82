/*
** What a library may have to wait for (a pipe, a terminal, another process) is said beforehand, so that
** whoever keeps others from going on meanwhile can let them. Included where the system's headers have been.
*/
#ifndef lupa_wait_h
#define lupa_wait_h

#include <stdio.h>
#include <stdlib.h>

/* The calling thread is about to wait, perhaps. */
void lupa_wait (void);

#define fopen(name, mode) (lupa_wait(), fopen(name, mode))
#define freopen(name, mode, file) (lupa_wait(), freopen(name, mode, file))
#define fclose(file) (lupa_wait(), fclose(file))
#define fread(to, size, count, file) (lupa_wait(), fread(to, size, count, file))
#define fwrite(from, size, count, file) (lupa_wait(), fwrite(from, size, count, file))
#define fflush(file) (lupa_wait(), fflush(file))
#define fgets(to, size, file) (lupa_wait(), fgets(to, size, file))
#define fputs(text, file) (lupa_wait(), fputs(text, file))
#define fscanf(file, format, to) (lupa_wait(), fscanf(file, format, to))
#define system(command) (lupa_wait(), system(command))

/* Characters are read one by one, but only after one of these. */
#undef getc
#define getc(file) (lupa_wait(), getc(file))
#define flockfile(file) (lupa_wait(), flockfile(file))

#if defined(_WIN32)
#define _popen(command, mode) (lupa_wait(), _popen(command, mode))
#define _pclose(file) (lupa_wait(), _pclose(file))
#else
#define popen(command, mode) (lupa_wait(), popen(command, mode))
#define pclose(file) (lupa_wait(), pclose(file))
#endif

#endif
