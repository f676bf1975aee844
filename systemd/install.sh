#!/bin/sh
# `make install`: the daemon under systemd, for all of this machine. May be repeated: what is in place already stays, and
# a newer version replaces an older one whole, while that runs.
#
#   PYTHON=python3   the Python 3.11 or newer that it will run with
#   WHEELS=folder    install from these files alone, without a network (made with pip download)
set -eu
umask 022
cd "$(dirname "$0")/.."

HOME_OF_ALL=/opt/tenant-webhooks
CONFIGURATION=/etc/tenant-webhooks
UNITS=/etc/systemd/system
COMMAND=/usr/local/bin/tenant-webhooks
DATABASE=/var/lib/tenant-webhooks/tenant-webhooks.db
TOKEN=$CONFIGURATION/operator.token
PYTHON=${PYTHON:-python3}
WHEELS=${WHEELS:-}

fail() { echo "make install: $*" >&2; exit 1; }
say() { echo "$*"; }

[ "$(id -u)" = 0 ] || fail "it writes to /opt, /etc and /usr/local: run it as root"
python=$("$PYTHON" -c 'import os, sys; assert sys.version_info >= (3, 11); print(os.path.realpath(sys.executable))') \
    || fail "Python 3.11 or newer is needed; name one with PYTHON=/path/to/python3"
# What ProtectHome= hides from the service (systemd.exec(5)).
case $python in
/home/* | /root/* | /run/user/*) fail "$python is in a home folder, which the service cannot see; name another: PYTHON=/usr/bin/python3" ;;
esac
"$python" -c 'import ensurepip, venv' 2>/dev/null || fail "$python has no venv (on Debian: apt-get install python3-venv)"

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
# A line for all that changed; there until the daemon runs what is in place, also if this or the daemon's start fails.
changed=$HOME_OF_ALL/.changed
note() {
    { cat "$changed" 2>/dev/null || true; echo "$1"; } >"$changed.draft"
    mv "$changed.draft" "$changed"
}
state() { systemctl is-active "tenant-webhooks.$1" 2>/dev/null || true; }

# The program: one folder for each version of its sources, its packages and its Python; `current` points to one of them.
version=$(sed -n 's/^version = "\(.*\)"$/\1/p' pyproject.toml)
release=$version-$({
    "$python" -VV
    echo "$python"
    cat requirements.txt pyproject.toml
    find daemon -type f ! -name '*.pyc' | LC_ALL=C sort | xargs sha256sum
} | sha256sum | cut -c 1-12)
here=$HOME_OF_ALL/releases/$release
current=$(readlink "$HOME_OF_ALL/current" || true)
if [ ! -e "$here/.complete" ]; then
    say "Installing into $here"
    rm -rf "$here"
    mkdir -p "$here"
    "$python" -m venv "$here"
    set -- --quiet --disable-pip-version-check --no-cache-dir
    [ -z "$WHEELS" ] || set -- "$@" --no-index --find-links "$WHEELS"
    "$here/bin/python" -m pip install "$@" --require-hashes -r requirements.txt
    # Built from a copy: setuptools leaves files beside what it builds, and would find its older ones there.
    cp -R pyproject.toml README.md daemon "$work/"
    "$here/bin/python" -m pip install "$@" --no-deps --no-build-isolation "$work"
    "$here/bin/tenant-webhooks" --version >/dev/null
    sync
    touch "$here/.complete"
fi
if [ "$current" != "releases/$release" ]; then
    ln -sfn "releases/$release" "$HOME_OF_ALL/current.new"
    note program
    mv -T "$HOME_OF_ALL/current.new" "$HOME_OF_ALL/current"
    # The last that served stays, which is the way back however many after it do not start, and the one before, which may
    # be running. The service's unit makes these marks.
    served=$(ls -t "$HOME_OF_ALL"/releases/*/.served 2>/dev/null | head -n 1)
    for old in "$HOME_OF_ALL"/releases/*; do
        case $old in "$here" | "$HOME_OF_ALL/$current" | "${served%/.served}") continue ;; esac
        [ -z "$served" ] || rm -rf "$old"
    done
fi
mkdir -p "${COMMAND%/*}"
ln -sfn "$HOME_OF_ALL/current/bin/tenant-webhooks" "$COMMAND"

# The configuration: one that somebody edited is left alone.
mkdir -p "$CONFIGURATION"
config=$CONFIGURATION/tenant-webhooks.toml
shipped=$HOME_OF_ALL/tenant-webhooks.toml.shipped
sed -e "s|^#path = .*|path = \"$DATABASE\"|" -e "s|^#operator_token_file = .*|operator_token_file = \"$TOKEN\"|" \
    config/tenant-webhooks.toml >"$work/config"
if [ ! -e "$config" ] || cmp -s "$config" "$shipped"; then
    cmp -s "$work/config" "$config" || { cp "$work/config" "$config.draft" && mv "$config.draft" "$config"; }
elif ! cmp -s "$work/config" "$config" && ! cmp -s "$work/config" "$shipped"; then
    cp "$work/config" "$config.new"
    say "$config was edited and is left alone; this version's is beside it: $config.new"
fi
cp "$work/config" "$shipped"

if [ ! -e "$TOKEN" ]; then
    (umask 077 && "$python" -c 'import secrets; print("tw_" + secrets.token_urlsafe(32))' >"$TOKEN.draft")
    mv "$TOKEN.draft" "$TOKEN"
    say "Made the operator's token: $TOKEN"
fi

mkdir -p "$UNITS"
for unit in tenant-webhooks.socket tenant-webhooks.service; do
    cmp -s "systemd/$unit" "$UNITS/$unit" && continue
    cp "systemd/$unit" "$UNITS/$unit.draft"
    note "$unit"
    mv "$UNITS/$unit.draft" "$UNITS/$unit"
done

[ -e "$changed" ] || say "Everything is in place already."
[ -d /run/systemd/system ] || { say "systemd does not run here: start the daemon once it does."; exit 0; }
systemctl daemon-reload
case $(state service) in
active | reloading | activating) # the last also while it fails at its start, again and again
    if [ -e "$changed" ]; then
        say "Restarting the daemon; clients wait meanwhile."
        systemctl restart tenant-webhooks.service
    fi
    ;;
*) say "To start it, now and at every boot: systemctl enable --now tenant-webhooks.service" ;;
esac
if grep -qsx tenant-webhooks.socket "$changed" && [ "$(state socket)" = active ]; then
    say "The socket's unit changed. Clients are refused for a moment while it restarts, so that is left to you:
    systemctl restart tenant-webhooks.socket tenant-webhooks.service"
fi
rm -f "$changed"
