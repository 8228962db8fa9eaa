// SPDX-License-Identifier: Apache-2.0
// Syncing what another thread has written.
#include "engine/unsynced.h"

#include <fcntl.h>

tm_status tm_unsynced_note(tm_unsynced *todo, int fd, const char *path, tm_error *err)
{
    *todo = (tm_unsynced){.fd = fcntl(fd, F_DUPFD_CLOEXEC, 0)};
    if (todo->fd < 0) return tm_fail_errno(err, "another descriptor of %s", path);
    return tm_path(todo->path, err, "%s", path);
}

tm_status tm_unsynced_sync(tm_unsynced *todo, tm_error *err)
{
    tm_status status = tm_fd_sync(todo->fd, true, todo->path, err);
    for (int i = 0; i < 2 && status == TM_OK; i++)
        if (todo->folders[i][0]) status = tm_dir_sync(todo->folders[i], err);
    tm_sys.close(todo->fd);
    todo->fd = -1;
    return status;
}
