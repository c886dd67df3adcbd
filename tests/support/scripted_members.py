"""A replica set of two members that does what a test tells it: elections, step-downs and deaths on cue.

Both members share one store, as replication would have it, and remember retryable writes by session and number, so
that a retried insert is counted once. `versioned` members send topologyVersion and hold awaitable hellos, as servers do
since 4.4; without it clients poll, and may believe for a moment what was true before. Everything runs on one event loop in a thread of its own:

    members = ScriptedMembers(key_documents)      members.uri       members.stored        members.close()
    members.step_down()      the primary refuses writes with 10107 and the other takes over after `election_seconds`
    members.kill_primary()   the primary's sockets are closed and its port refuses; the other takes over
"""

import asyncio
import datetime
import struct
import threading

import bson
from bson.objectid import ObjectId

import wire

NOT_PRIMARY = {"ok": 0.0, "code": 10107, "codeName": "NotWritablePrimary", "errmsg": "not primary",
               "errorLabels": ["RetryableWriteError"]}
WRITES = {"insert", "update", "delete", "findAndModify", "findandmodify", "commitTransaction"}


class Member:
    def __init__(self, group, index):
        self.group = group
        self.index = index
        self.writers = set()
        self.server = None
        self.port = None
        self.alive = True
        self.refused_writes = 0
        self.process_id = ObjectId()

    async def start(self):
        self.server = await asyncio.start_server(self.serve, "127.0.0.1", 0, limit=1 << 20, backlog=512)
        self.port = self.server.sockets[0].getsockname()[1]

    @property
    def address(self):
        return f"127.0.0.1:{self.port}"

    def die(self):
        self.alive = False
        self.server.close()
        for writer in list(self.writers):
            writer.transport.abort()

    async def serve(self, reader, writer):
        self.writers.add(writer)
        self.group.connections += 1
        try:
            while True:
                head = await reader.readexactly(16)
                (length,) = struct.unpack_from("<i", head)
                message = wire.parse(head + await reader.readexactly(length - 16))
                command = message.command()
                await self.hold_back(command)
                reply = self.answer(command)
                if message.flags & wire.MORE_TO_COME and message.opcode == wire.OP_MSG:
                    continue
                writer.write(self.frame(message, reply))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self.writers.discard(writer)
            writer.close()

    @staticmethod
    def frame(request, reply):
        document = bson.encode(reply)
        if request.opcode == wire.OP_QUERY:
            return wire.frame(wire.OP_REPLY, struct.pack("<iqii", 8, 0, 0, 1) + document, response_to=request.request_id)
        return wire.frame(wire.OP_MSG, b"\0\0\0\0\0" + document, response_to=request.request_id)

    async def hold_back(self, command):
        """An awaitable hello is answered when the topology changes, or when its time is over."""
        known = command.get("topologyVersion")
        if known is None or "maxAwaitTimeMS" not in command or not self.group.versioned:
            return
        deadline = asyncio.get_running_loop().time() + command["maxAwaitTimeMS"] / 1000
        while known["counter"] >= self.group.counter and asyncio.get_running_loop().time() < deadline:
            await asyncio.sleep(0.02)

    def topology_version(self):
        if not self.group.versioned:
            return {}
        return {"topologyVersion": {"processId": self.process_id, "counter": bson.Int64(self.group.counter)}}

    def hello(self):
        group = self.group
        primary = group.primary
        reply = {
            "ismaster": primary is self, "isWritablePrimary": primary is self, "secondary": primary is not self,
            "setName": "scripted", "setVersion": 1, "hosts": [m.address for m in group.members], "me": self.address,
            "maxBsonObjectSize": 16777216, "maxMessageSizeBytes": 48000000, "maxWriteBatchSize": 100000,
            "localTime": datetime.datetime.now(datetime.timezone.utc), "logicalSessionTimeoutMinutes": 30,
            "connectionId": 1, "minWireVersion": 0, "maxWireVersion": 21, "readOnly": False, "helloOk": True, "ok": 1.0,
        }
        if primary is not None:
            reply["primary"] = primary.address
        if primary is self:
            reply["electionId"] = group.election_id
        return {**reply, **self.topology_version()}

    def answer(self, command):
        name = next(iter(command))
        if name in ("hello", "isMaster", "ismaster"):
            return self.hello()
        if name in WRITES and self.group.primary is not self:
            self.refused_writes += 1
            return {**NOT_PRIMARY, **self.topology_version()}
        handler = getattr(self, "on_" + name.lower(), None)
        if handler is None:
            return {"ok": 0.0, "code": 59, "codeName": "CommandNotFound", "errmsg": f"no such command: '{name}'"}
        return handler(command)

    def on_ping(self, _):
        return {"ok": 1.0}

    on_endsessions = on_killcursors = on_logout = on_ping

    def on_buildinfo(self, _):
        return {"version": "7.0.0", "versionArray": [7, 0, 0, 0], "ok": 1.0}

    def on_connectionstatus(self, _):
        return {"authInfo": {"authenticatedUsers": [], "authenticatedUserRoles": []}, "ok": 1.0}

    def on_insert(self, command):
        return self.group.insert(command)

    def on_find(self, command):
        namespace = f"{command['$db']}.{command['find']}"
        if namespace == "encryption.__keyVault":
            documents = self.group.key_documents
        else:
            documents = [d for d in self.group.stored if matches(d, command.get("filter") or {})]
        return {"cursor": {"id": bson.Int64(0), "ns": namespace, "firstBatch": documents}, "ok": 1.0}

    def on_listcollections(self, command):
        return {"cursor": {"id": bson.Int64(0), "ns": f"{command['$db']}.$cmd.listCollections", "firstBatch": []}, "ok": 1.0}


def matches(document, query):
    return all(document.get(name) == value for name, value in query.items())


class ScriptedMembers:
    def __init__(self, key_documents=(), election_seconds=1.0, versioned=True):
        self.key_documents = list(key_documents)
        self.election_seconds = election_seconds
        self.versioned = versioned
        self.counter = 1
        self.stored = []
        self.connections = 0
        self.retried = 0
        self.election_id = ObjectId("7fffffff0000000000000001")
        self._writes = {}
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, daemon=True).start()
        self.members = [Member(self, 0), Member(self, 1)]
        for member in self.members:
            asyncio.run_coroutine_threadsafe(member.start(), self._loop).result(10)
        self.primary = self.members[0]

    @property
    def uri(self):
        return f"mongodb://{self.members[0].address},{self.members[1].address}/?replicaSet=scripted"

    def insert(self, command):
        documents = command["documents"]
        if "txnNumber" in command:
            key = (bytes(command["lsid"]["id"]), command["txnNumber"])
            if key in self._writes:
                self.retried += 1
                return self._writes[key]
            self._writes[key] = {"n": len(documents), "ok": 1.0}
        self.stored.extend(documents)
        return {"n": len(documents), "ok": 1.0}

    def _on_loop(self, function):
        async def call():
            return function()
        return asyncio.run_coroutine_threadsafe(call(), self._loop).result(10)

    def _elect_later(self, loser):
        self.primary = None
        self.counter += 1
        other = next(m for m in self.members if m is not loser)

        def elect():
            generation = int(str(self.election_id), 16) + 1
            self.election_id = ObjectId(f"{generation:024x}")
            self.primary = other
            self.counter += 1

        self._loop.call_later(self.election_seconds, elect)

    def step_down(self):
        """The primary becomes a secondary; its connections stay open, as a server's do since version 4.2."""
        self._on_loop(lambda: self._elect_later(self.primary))

    def kill_primary(self):
        def kill():
            loser = self.primary
            self._elect_later(loser)
            loser.die()
        self._on_loop(kill)

    def close(self):
        async def close():
            for member in self.members:
                if member.alive:
                    member.die()
            tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

        asyncio.run_coroutine_threadsafe(close(), self._loop).result(10)
        self._loop.call_soon_threadsafe(self._loop.stop)
