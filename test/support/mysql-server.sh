#!/usr/bin/env bash
# Puts the MySQL server of Debian's unstable suite, with the libraries that it needs, into a folder of its own, where tests find it
# (support/mysql.ts). Nothing is installed, and nothing else of the machine changes. Needs apt and dpkg.
set -euo pipefail
folder=${1:-${TMPDIR:-/tmp}/qianzhi-mysql}
[ -x "$folder/usr/sbin/mysqld" ] && exit 0
apt=$(mktemp -d)
trap 'rm -rf "$apt"' EXIT
mkdir -p "$apt/lists/partial" "$apt/archives/partial" "$apt/root"
touch "$apt/status"
echo 'deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] http://deb.debian.org/debian unstable main' >"$apt/sources.list"
options=(-qq -o APT::Sandbox::User=root -o Dir::Etc::sourcelist="$apt/sources.list" -o Dir::Etc::sourceparts=/dev/null
  -o Dir::State::lists="$apt/lists" -o Dir::State::status="$apt/status" -o Dir::Cache="$apt" -o Dir::Cache::archives="$apt/archives")
apt-get "${options[@]}" update
apt-get "${options[@]}" --yes --download-only --no-install-recommends install mysql-server-core
for package in "$apt"/archives/*.deb; do
  case $package in *perl*) ;; *) dpkg -x "$package" "$apt/root" ;; esac
done
chmod 755 "$apt/root"
mv "$apt/root" "$folder"
