/* SPDX-License-Identifier: GPL-2.0 */
#ifndef _QCOWCTL_COMMAND_H
#define _QCOWCTL_COMMAND_H

/* The commands: each returns the program's exit code. */
int attach_main(int argc, char **argv);
int bitmap_main(int argc, char **argv);
int check_main(int argc, char **argv);
int commit_main(int argc, char **argv);
int detach_main(int argc, char **argv);
int info_main(int argc, char **argv);
int list_main(int argc, char **argv);
int map_main(int argc, char **argv);
int resize_main(int argc, char **argv);
int stream_main(int argc, char **argv);
int snapshot_main(int argc, char **argv);

extern const char attach_usage[];
extern const char bitmap_usage[];
extern const char check_usage[];
extern const char commit_usage[];
extern const char detach_usage[];
extern const char info_usage[];
extern const char list_usage[];
extern const char map_usage[];
extern const char resize_usage[];
extern const char stream_usage[];
extern const char snapshot_usage[];

#endif /* _QCOWCTL_COMMAND_H */
