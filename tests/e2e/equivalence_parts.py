"""What the commands of the equivalence test are made of: filters, comparisons and projections that a collection can serve."""

from equivalence_data import COLLECTIONS, WORDS


class Case:
    def __init__(self, kind, command, ordered=False, counts_modified=True, database=None):
        self.kind, self.command, self.ordered, self.database = kind, command, ordered, database
        self.counts_modified = counts_modified  # a random ciphertext differs although the value is the same

    def __repr__(self):
        return f"{self.kind}: {self.command}"


class Parts:
    def __init__(self, random):
        self.random = random
        self.next_id = 1000

    def collection(self, protected=True):
        return self.random.choice(["people", "people", "accounts"] if protected else ["people", "accounts", "wards"])

    def fields(self, collection, deterministic=None):
        return [f for f in COLLECTIONS[collection] if deterministic is None or f.deterministic == deterministic]

    def field(self, collection, deterministic=None):
        return self.random.choice(self.fields(collection, deterministic))

    def value(self, field):
        return self.random.choice(field.values)

    def fresh_id(self):
        self.next_id += 1
        return self.next_id

    def plain_predicate(self):
        r = self.random
        return r.choice([
            lambda: {"ward": r.randrange(6)},
            lambda: {"ward": {r.choice(["$gt", "$gte", "$lt", "$lte", "$ne"]): r.randrange(6)}},
            lambda: {"ward": {"$in": [r.randrange(6), r.randrange(6)]}},
            lambda: {"ward": {"$nin": [r.randrange(6), r.randrange(6)]}},
            lambda: {"ward": {"$mod": [2, r.randrange(2)]}},
            lambda: {"name": {"$regex": "^" + r.choice("abcdefg")}},
            lambda: {"name": {"$not": {"$eq": r.choice(WORDS)}}},
            lambda: {"tags": r.choice(WORDS)},
            lambda: {"tags": {"$size": r.randrange(3)}},
            lambda: {"tags": {"$all": r.sample(WORDS, 2)}},
            lambda: {"status": {"$exists": r.random() < 0.5}},
            lambda: {"status": None},
            lambda: {"status": {"$type": "string"}},
            lambda: {"place.city": r.choice(WORDS)},
            lambda: {"place.ssn": {"$gte": r.randrange(100, 104)}},  # named like a protected field, and none
            lambda: {"visits.cost": {"$gt": r.randrange(5) * 10}},
            lambda: {"n": {"$gte": r.randrange(100), "$lt": r.randrange(100)}},
        ])()

    def equality(self, collection):
        field = self.field(collection, True)
        return {field.path: self.random.choice([
            lambda: self.value(field), lambda: {"$eq": self.value(field)}, lambda: {"$ne": self.value(field)},
            lambda: {"$not": {"$eq": self.value(field)}}])()}

    def membership(self, collection):
        field = self.field(collection, True)
        values = [self.value(field) for _ in range(self.random.randrange(1, 4))]
        condition = {self.random.choice(["$in", "$nin"]): values}
        return {field.path: {"$not": condition} if self.random.random() < 0.2 else condition}

    def presence(self, collection):
        field = self.field(collection)
        path = field.path.split(".")[0] if self.random.random() < 0.2 else field.path
        return {path: {"$exists": self.random.random() < 0.5}}

    def predicate(self, collection):
        choices = [self.plain_predicate]
        if self.fields(collection):
            choices += [lambda: self.equality(collection), lambda: self.membership(collection), lambda: self.presence(collection)]
        return self.random.choice(choices)()

    def filter(self, collection, level=0):
        if level < 2 and self.random.random() < 0.3:
            branches = [self.filter(collection, level + 1) for _ in range(self.random.randrange(1, 4))]
            return {self.random.choice(["$and", "$or", "$nor"]): branches}
        found = {}
        for _ in range(self.random.randrange(1, 3)):
            found.update(self.predicate(collection))
        return found

    def comparison(self, collection):
        field = self.field(collection, True)
        path, value = "$" + field.path, self.value(field)
        return self.random.choice([
            lambda: {"$eq": [path, value]}, lambda: {"$ne": [{"$literal": value}, path]},
            lambda: {"$in": [path, [value, self.value(field)]]}])()

    def projection(self, collection):
        paths = ["name", "ward", "tags", "place.city"] + [f.path for f in self.fields(collection)]
        include = self.random.choice([0, 1])
        chosen = {path: include for path in self.random.sample(paths, self.random.randrange(1, 4))}
        if self.random.random() < 0.2:
            chosen["_id"] = 0
        return chosen
