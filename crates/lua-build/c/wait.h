/*
** What a library may have to wait for (a pipe, a terminal, another process) is said beforehand, so that
** whoever keeps others from going on meanwhile can let them. The headers that declare what is a macro here
** come first: they would declare something else afterwards.
*/
#ifndef lupa_wait_h
#define lupa_wait_h

#include <stdio.h>
#include <stdlib.h>
#if defined(_WIN32)
#if !defined(WIN32_LEAN_AND_MEAN)
#define WIN32_LEAN_AND_MEAN
#endif
#if !defined(NOMINMAX)
#define NOMINMAX
#endif
#include <windows.h>
#else
#include <unistd.h>
#endif

/* The calling thread is about to wait, perhaps. */
void lupa_wait (void);

/* From now on it may wait without saying so. */
void lupa_foreign (void);

#define fopen(name, mode) (lupa_wait(), fopen(name, mode))
#define freopen(name, mode, file) (lupa_wait(), freopen(name, mode, file))
#define fclose(file) (lupa_wait(), fclose(file))
#define fread(to, size, count, file) (lupa_wait(), fread(to, size, count, file))
#define fwrite(from, size, count, file) (lupa_wait(), fwrite(from, size, count, file))
#define fflush(file) (lupa_wait(), fflush(file))
#define fgets(to, size, file) (lupa_wait(), fgets(to, size, file))
#define fputs(text, file) (lupa_wait(), fputs(text, file))
#define fprintf(...) (lupa_wait(), fprintf(__VA_ARGS__))
#define fscanf(file, format, to) (lupa_wait(), fscanf(file, format, to))
#undef putchar
#define putchar(character) (lupa_wait(), putchar(character))
/* What has been written is written out before these. */
#define fseek(file, offset, origin) (lupa_wait(), fseek(file, offset, origin))
#define setvbuf(file, to, mode, size) (lupa_wait(), setvbuf(file, to, mode, size))
#define exit(status) (lupa_wait(), exit(status))
#define tmpfile() (lupa_wait(), tmpfile())
#define remove(name) (lupa_wait(), remove(name))
#define rename(from, to) (lupa_wait(), rename(from, to))
#define system(command) (lupa_wait(), system(command))

/* Characters are read one by one, but only after one of these. */
#undef getc
#define getc(file) (lupa_wait(), getc(file))
#define flockfile(file) (lupa_wait(), flockfile(file))

#if defined(_WIN32)
#define _popen(command, mode) (lupa_wait(), _popen(command, mode))
#define _pclose(file) (lupa_wait(), _pclose(file))
#define _fseeki64(file, offset, origin) (lupa_wait(), _fseeki64(file, offset, origin))
#define LoadLibraryExA(name, file, flags) (lupa_foreign(), LoadLibraryExA(name, file, flags))
#else
#define fseeko(file, offset, origin) (lupa_wait(), fseeko(file, offset, origin))
#define mkstemp(name) (lupa_wait(), mkstemp(name))
#define popen(command, mode) (lupa_wait(), popen(command, mode))
#define pclose(file) (lupa_wait(), pclose(file))
#endif

#endif
