#!/bin/sh
# Gives up root before the server starts; a container that runs as another user (--user) is left as it is.
set -e
if [ "$(id -u)" = 0 ]; then
    chown redis:redis .
    exec setpriv --reuid redis --regid redis --init-groups --no-new-privs "$@"
fi
exec "$@"
