# The Debian 12 packages fieldgate needs, in one place. Sourced by tests/run and deploy/quickstart.
#
#   ensure_packages GROUP...   installs what is missing (as root), otherwise prints the exact line and fails
#
# An entry is PACKAGE or PACKAGE=PROBE. Without a probe dpkg is asked; with one the shell runs it, so that a newer
# tool installed by other means (a Go of one's own, Node.js from elsewhere) is taken instead of Debian's.

packages_build=(
    g++ cmake ninja-build pkg-config ccache
    libboost1.81-dev libboost-json1.81-dev libbson-dev libmongoc-dev libcli11-dev libspdlog-dev
    libgtest-dev libgmock-dev libbenchmark-dev
    libyaml-cpp-dev libpcre2-dev libexpat1-dev libssl-dev libmongocrypt-dev
)
packages_python=(
    "python3-venv=/usr/bin/python3 -c 'import ensurepip, venv'"
)
packages_e2e=(
    ca-certificates
    "openssl=command -v openssl"
    "nodejs=command -v node"
    "npm=command -v npm"
    "default-jdk-headless=command -v javac"
    "maven=command -v mvn"
    "golang-go=command -v go"
    "php8.2-cli=command -v php"
    "php8.2-mongodb=php --ri mongodb"
)
packages_lint=(
    "git=command -v git"
    clang-tidy-19 clang-format-19
)
packages_fuzz=(
    clang-19 libclang-rt-19-dev lld-19 mold
)
packages_bench=(
    "haproxy=command -v haproxy || test -x /usr/sbin/haproxy"
)

missing_packages() {
    local group entry package probe
    for group in "$@"; do
        local -n entries="packages_$group"
        for entry in "${entries[@]}"; do
            package=${entry%%=*}
            if [[ $entry == *=* ]]; then
                probe=${entry#*=}
                (eval "$probe") >/dev/null 2>&1 || printf '%s\n' "$package"
            else
                dpkg-query -W -f='${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || printf '%s\n' "$package"
            fi
        done
    done
}

ensure_packages() {
    local missing
    mapfile -t missing < <(missing_packages "$@" | sort -u)
    ((${#missing[@]} == 0)) && return 0
    if ((EUID != 0)); then
        echo "error: these Debian packages are missing. As root:" >&2
        echo "    apt-get install --no-install-recommends ${missing[*]}" >&2
        return 1
    fi
    echo "Installing ${#missing[@]} Debian packages: ${missing[*]}"
    local log
    log=$(mktemp)
    if ! { apt-get update -q && DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends \
            "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 30 "$log" >&2
        echo "error: apt-get could not install: ${missing[*]} (whole log: $log)" >&2
        return 1
    fi
    rm -f "$log"
    # A probe that still fails after the installation would otherwise surface much later, as something else.
    mapfile -t missing < <(missing_packages "$@" | sort -u)
    if ((${#missing[@]} != 0)); then
        echo "error: installed, and yet not usable: ${missing[*]}" >&2
        return 1
    fi
}
