#!/bin/sh
# `make uninstall`: stops the daemon and removes it. The data, the configuration and the operator's token stay.
set -eu
[ "$(id -u)" = 0 ] || { echo "make uninstall: run it as root" >&2; exit 1; }

if [ -d /run/systemd/system ] && [ -e /etc/systemd/system/tenant-webhooks.service ]; then
    # The socket first: else its next client would start the daemon again.
    systemctl disable --now tenant-webhooks.socket tenant-webhooks.service
fi
rm -f /etc/systemd/system/tenant-webhooks.service /etc/systemd/system/tenant-webhooks.socket /usr/local/bin/tenant-webhooks
rm -rf /opt/tenant-webhooks
[ ! -d /run/systemd/system ] || systemctl daemon-reload
echo "Removed. What you may want to keep is still there: /var/lib/private/tenant-webhooks and /etc/tenant-webhooks."
