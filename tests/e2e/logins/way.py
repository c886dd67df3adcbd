"""One way to log in to a key manager: settings and environment for the stand-ins, and what of them can be wrong."""

import json
from dataclasses import dataclass, field, replace

WAYS = {}


@dataclass
class Wrong:
    """Settings and variables that replace good ones (None: without), or something to do first; and the cause as clients
    are told it (a code, or a status) and as operators are (a word of the text, if it is another)."""
    told: str
    said: str = None
    settings: dict = field(default_factory=dict)
    env: dict = field(default_factory=dict)
    act: object = None

    def __post_init__(self):
        self.said = self.said or self.told


@dataclass
class Way:
    name: str  # of the provider
    stand: object
    settings: dict
    master_key: dict
    env: dict = field(default_factory=dict)
    login: tuple = ()  # the stand-in that hands out what logs in, and the kind of its requests
    secrets: list = field(default_factory=list)
    wrong: list = field(default_factory=list)
    file: str = ""  # that an agent renews

    def but(self, wrong, name=None):
        settings, env = ({name: value for name, value in {**good, **bad}.items() if value is not None}
                         for good, bad in ((self.settings, wrong.settings), (self.env, wrong.env)))
        return replace(self, name=name or self.name, settings=settings, env=env)

    @property
    def alias(self):
        """Of its key, and its collection's name."""
        return self.name.replace(":", "-")

    def logins(self, outcome=None):
        stand, kind = self.login
        return stand.count(kind, outcome)


class Kit:
    def __init__(self, request, directory):
        self.request, self.directory, self.files = request, directory, 0
        self.certificates = request.getfixturevalue("certificates")
        self.tls = {"ca_file": str(self.certificates.ca_file)}

    def __getattr__(self, name):
        return self.request.getfixturevalue(name)

    def file(self, contents):
        self.files += 1
        path = self.directory / f"file-{self.files}"
        path.write_text(contents if isinstance(contents, str) else json.dumps(contents))
        path.chmod(0o600)
        return str(path)

    def way(self, name):
        made = WAYS[name](self)
        made.settings.setdefault("tls", self.tls)
        return made


def way(name):
    def known(make):
        WAYS[name] = lambda kit: make(kit, name)
        return make
    return known
