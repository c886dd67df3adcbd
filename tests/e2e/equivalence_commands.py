"""Makes commands, most of which a namespace with encrypted fields can serve.

A kind says what is special about a command. KINDS says of each whether fieldgate is expected to accept it today: what it
is still to learn stands there with False, is tried and compared all the same, and counts for nothing. Flip it when it works.

The embedded server is young. What it answers wrongly or not at all, on a plain collection, is left out:
nothing so far beyond what servers-and-clients lists ($where, text indexes), which no encrypted namespace allows either.
"""

from equivalence_data import WORDS, document, plain_fields
from equivalence_parts import Case, Parts

# kind: accepted today
KINDS = {
    # reading
    "find plain": True,
    "find by equality": True,
    "find by $in": True,
    "find by $exists": True,
    "find nested": True,
    "find $elemMatch": True,
    "find whole object": True,
    "find projection": True,
    "find sorted": True,
    "find $expr": True,
    "find computed projection": True,
    "count": True,
    "distinct": True,
    "match": True,
    "match project": True,
    "match sort limit": True,
    "match count": True,
    "group to count": True,
    "group": True,
    "group by deterministic": True,
    "addFields": True,
    "unset": True,
    "computed project": True,
    "cond": True,
    "bucket": True,
    "sortByCount": True,
    "unwind": True,
    "lookup": True,
    "lookup of protected": True,
    "lookup with pipeline": True,
    "graphLookup": True,
    "unionWith": True,
    "facet": True,
    "facet of protected": True,
    "redact": True,
    "replaceRoot": True,
    "protected branches": True,
    "match on reshaped": True,
    "arrays of stages": True,
    "error of the server": True,
    # writing
    "insert": True,
    "set plain": True,
    "set protected": True,
    "set parent": True,
    "unset fields": True,
    "upsert": True,
    "rename": True,
    "rename protected": True,
    "plain operators": True,
    "replace": True,
    "delete": True,
    "several statements": True,
    "findAndModify": True,
    "findAndModify remove": True,
    "update pipeline": True,
    "bulkWrite": True,
}


class Generator(Parts):
    # Reading. A limit only stands behind an order that leaves nothing open.

    def find(self, kind, filter, collection, **options):
        return Case(kind, {"find": collection, "filter": filter, "batchSize": 1000, **options}, ordered="sort" in options)

    def aggregate(self, kind, collection, *stages, ordered=False):
        first = [{"$match": self.filter(collection)}] if self.random.random() < 0.5 else []
        return Case(kind, {"aggregate": collection, "pipeline": first + list(stages), "cursor": {"batchSize": 1000}}, ordered)

    def sorting(self):
        return {self.random.choice(["ward", "n", "name"]): self.random.choice([1, -1]), "_id": 1}

    def find_plain(self, kind):
        return self.find(kind, self.plain_predicate(), self.collection())

    def find_by_equality(self, kind):
        collection = self.collection()
        return self.find(kind, {**self.equality(collection), **(self.plain_predicate() if self.random.random() < 0.3 else {})}, collection)

    def find_by_in(self, kind):
        collection = self.collection()
        return self.find(kind, self.membership(collection), collection)

    def find_by_exists(self, kind):
        collection = self.collection()
        return self.find(kind, self.presence(collection), collection)

    def find_nested(self, kind):
        collection = self.collection()
        return self.find(kind, {"$or": [self.filter(collection), self.filter(collection)]}, collection)

    def find_elemmatch(self, kind):
        collection = self.collection()
        condition = self.random.choice([{"visits": {"$elemMatch": {"day": {"$gte": self.random.randrange(7)}, "cost": {"$lt": 30}}}},
                                        {"tags": {"$elemMatch": {"$gt": self.random.choice(WORDS)}}}])
        return self.find(kind, {**condition, **(self.equality(collection) if self.random.random() < 0.5 else {})}, collection)

    def find_whole_object(self, kind):
        phone = {"phone": self.value(next(f for f in self.fields("people") if f.path == "contact.home.phone"))}
        condition = self.random.choice([phone, {"$eq": phone}, {"$ne": phone}, {"$in": [phone, {"phone": "+49 30 5500"}]}])
        if self.random.random() < 0.5:
            return self.find(kind, {"contact.home": condition}, "people")
        return self.find(kind, {"contact": {"home": phone}}, "people")

    def find_projection(self, kind):
        collection = self.collection()
        return self.find(kind, self.filter(collection), collection, projection=self.projection(collection))

    def find_sorted(self, kind):
        collection = self.collection()
        return self.find(kind, self.filter(collection), collection, sort=self.sorting(), skip=self.random.randrange(3), limit=self.random.randrange(1, 9))

    def find_expr(self, kind):
        collection = self.collection()
        return self.find(kind, {"$expr": self.comparison(collection)}, collection)

    def find_computed_projection(self, kind):
        collection = self.collection()
        return self.find(kind, self.filter(collection), collection, projection={"known": self.comparison(collection), "w": "$ward"})

    def count(self, kind):
        collection = self.collection()
        return Case(kind, {"count": collection, "query": self.filter(collection)})

    def distinct(self, kind):
        collection = self.collection()
        key = self.random.choice(["ward", "tags", "place.city"] + [f.path for f in self.fields(collection, True)])
        return Case(kind, {"distinct": collection, "key": key, "query": self.filter(collection)})

    def match(self, kind):
        collection = self.collection()
        return self.aggregate(kind, collection, {"$match": self.filter(collection)})

    def match_project(self, kind):
        collection = self.collection()
        return self.aggregate(kind, collection, {"$project": self.projection(collection)})

    def match_sort_limit(self, kind):
        return self.aggregate(kind, self.collection(), {"$sort": self.sorting()}, {"$skip": self.random.randrange(1, 4)}, {"$limit": 5}, ordered=True)

    def match_count(self, kind):
        return self.aggregate(kind, self.collection(), {"$count": "many"})

    def group_to_count(self, kind):
        return self.aggregate(kind, self.collection(), {"$group": {"_id": 1, "n": {"$sum": 1}}})

    def _accumulators(self, collection):
        field = self.random.choice(["ward", "n", "name"] + [f.path for f in self.fields(collection)])
        deterministic = self.random.choice(["name"] + [f.path for f in self.fields(collection, True)])
        return self.random.choice([
            {"n": {"$sum": 1}, "total": {"$sum": "$n"}}, {"top": {"$max": "$ward"}, "set": {"$addToSet": "$" + deterministic}},
            {"first": {"$first": "$" + field}}, {"all": {"$push": "$" + field}}])

    def group(self, kind):
        collection = self.collection()
        return self.aggregate(kind, collection, {"$sort": {"_id": 1}}, {"$group": {"_id": "$ward", **self._accumulators(collection)}})

    def group_by_deterministic(self, kind):
        collection = self.collection()
        key = "$" + self.field(collection, True).path
        stages = [{"$sort": {"_id": 1}}, {"$group": {"_id": self.random.choice([key, {"k": key, "w": "$ward"}]), **self._accumulators(collection)}}]
        return self.aggregate(kind, collection, *stages)

    def addfields(self, kind):
        collection = self.collection()
        copy = {"copy": "$" + self.field(collection).path, "sum": {"$add": ["$ward", "$n"]}}
        return self.aggregate(kind, collection, {self.random.choice(["$addFields", "$set"]): copy})

    def unset(self, kind):
        collection = self.collection()
        return self.aggregate(kind, collection, {"$unset": [self.field(collection).path, "tags"]})

    def computed_project(self, kind):
        collection = self.collection()
        return self.aggregate(kind, collection, {"$project": {"w": "$ward", "copy": "$" + self.field(collection).path, "known": self.comparison(collection)}})

    def cond(self, kind):
        collection = self.collection()
        case = self.random.choice([
            {"$cond": [self.comparison(collection), "yes", "no"]},
            {"$switch": {"branches": [{"case": self.comparison(collection), "then": "$name"}], "default": "$ward"}},
            {"$ifNull": ["$status", "$name"]}])
        return self.aggregate(kind, collection, {"$addFields": {"answer": case}})

    def bucket(self, kind):
        return self.aggregate(kind, self.collection(), {"$bucket": {"groupBy": "$ward", "boundaries": [0, 2, 4], "default": "other", "output": {"n": {"$sum": 1}}}})

    def sortbycount(self, kind):
        collection = self.collection()
        return self.aggregate(kind, collection, {"$sortByCount": self.random.choice(["$ward", "$" + self.field(collection, True).path])})

    def unwind(self, kind):
        return self.aggregate(kind, self.collection(), {"$unwind": self.random.choice(["$tags", {"path": "$visits", "preserveNullAndEmptyArrays": True}])})

    def lookup(self, kind):
        stage = {"from": self.random.choice(["wards", "people", "accounts"]), "localField": "ward", "foreignField": "ward", "as": "there"}
        return self.aggregate(kind, self.collection(), {"$lookup": stage})

    def lookup_of_protected(self, kind):
        local, foreign, collection = self.random.choice([("ssn", "owner", "people"), ("owner", "ssn", "accounts"), ("ssn", "ssn", "people")])
        source = {"owner": "accounts", "ssn": "people"}[foreign]
        return self.aggregate(kind, collection, {"$lookup": {"from": source, "localField": local, "foreignField": foreign, "as": "there"}})

    def lookup_with_pipeline(self, kind):
        collection, other = self.collection(), self.random.choice(["people", "accounts", "wards"])
        stages = self.random.choice([
            [{"$match": self.filter(other)}], [{"$match": {"$expr": {"$gte": ["$n", "$$n"]}}}],
            [{"$match": {"$expr": {"$eq": ["$ward", "$$w"]}}}, {"$project": {"name": 1, "copy": "$" + self.field(other).path if other != "wards" else "$n"}}],
            [{"$group": {"_id": "$ward", "many": {"$sum": 1}}}, {"$sort": {"_id": 1}}]])
        stage = {"from": other, "let": {"w": "$ward", "n": "$n"}, "pipeline": [{"$sort": {"_id": 1}}, *stages], "as": "there"}
        return self.aggregate(kind, collection, {"$lookup": stage})

    def graphlookup(self, kind):
        path, start = self.random.choice([("ward", "$n"), ("ward", self.random.randrange(6)), ("ssn", "$ssn"), ("ssn", self.random.randrange(100, 108))])
        stage = {"from": "people", "startWith": start, "connectFromField": path, "connectToField": path, "maxDepth": 0, "as": "set"}
        if self.random.random() < 0.5:
            stage["restrictSearchWithMatch"] = self.filter("people")
        return self.aggregate(kind, "people", {"$graphLookup": stage}, {"$limit": 100})

    def unionwith(self, kind):
        other = self.random.choice(["people", "accounts", "wards"])
        stage = other if self.random.random() < 0.5 else {"coll": other, "pipeline": [{"$match": self.filter(other)}]}
        return self.aggregate(kind, self.collection(), {"$unionWith": stage})

    def facet(self, kind):
        collection = self.collection()
        return self.aggregate(kind, collection, {"$facet": {
            "one": [{"$match": self.filter(collection)}], "two": [{"$group": {"_id": "$ward", "n": {"$sum": 1}}}, {"$sort": {"_id": 1}}]}})

    def facet_of_protected(self, kind):
        collection = self.collection()
        return self.aggregate(kind, collection, {"$facet": {
            "one": [{"$match": self.equality(collection)}, {"$project": {"copy": "$" + self.field(collection).path}}],
            "many": [{"$match": self.filter(collection)}, {"$count": "n"}]}})

    def redact(self, kind):
        collection = self.collection()
        return self.aggregate(kind, collection, {"$redact": {"$cond": [self.comparison(collection), "$$KEEP", "$$PRUNE"]}})

    def replaceroot(self, kind):
        return self.aggregate(kind, "people", {"$match": {"insurance": {"$exists": True}}}, {"$replaceRoot": {"newRoot": "$insurance"}})

    def protected_branches(self, kind):
        email, phone = "$email", "$contact.home.phone"  # of one type, under one key
        made = self.random.choice([
            {"$cond": [self.comparison("people"), email, phone]}, {"$ifNull": [email, phone]}, {"$ifNull": [email, "none"]},
            {"$ifNull": ["$ssn", 777]}, {"$cond": [self.comparison("people"), "$ssn", 778]}, {"$mergeObjects": [{"ssn": 779}, {"ssn": "$ssn"}]},
            {"$mergeObjects": [{"$cond": [{"$gt": ["$ward", 2]}, {"ssn": 780}, None]}, {"ssn": "$ssn"}]},
            {"$switch": {"branches": [{"case": {"$gt": ["$ward", 2]}, "then": email}], "default": phone}}])
        return self.aggregate(kind, "people", {"$addFields": {"made": made}})

    def match_on_reshaped(self, kind):
        ssn, policy, owner = (self.value(next(f for f in self.fields(c) if f.path == p)) for c, p in (
            ("people", "ssn"), ("people", "insurance.policyNumber"), ("accounts", "owner")))
        stages = self.random.choice([
            [{"$project": {"copy": "$ssn"}}, {"$match": {"copy": ssn}}],
            [{"$addFields": {"copy": "$insurance"}}, {"$match": {"copy.policyNumber": {"$in": [policy]}}}],
            [{"$group": {"_id": "$ssn", "n": {"$sum": 1}}}, {"$match": {"_id": {"$ne": ssn}}}],
            [{"$match": {"insurance": {"$exists": True}}}, {"$replaceRoot": {"newRoot": "$insurance"}}, {"$match": {"policyNumber": policy}}],
            [{"$lookup": {"from": "accounts", "localField": "ward", "foreignField": "ward", "as": "there"}}, {"$unwind": "$there"},
             {"$match": {"there.owner": owner}}],
            [{"$project": {"ssn": 0}}, {"$match": {"insurance.policyNumber": policy}}]])
        return self.aggregate(kind, "people", *stages)

    def arrays_of_stages(self, kind):
        r = self.random
        owner = self.value(next(f for f in self.fields("accounts") if f.path == "owner"))
        there = {"$lookup": {"from": "accounts", "let": {"w": "$ward"}, "as": "there", "pipeline": [
            {"$match": {"$expr": {"$eq": ["$ward", "$$w"]}}}, {"$sort": {"_id": 1}}]}}
        made, *more = r.choice([
            [{"$size": "$there"}, {"$match": {"made": {"$gt": 1}}}], [{"$size": "$there.owner"}], [{"$isArray": "$there"}],
            [{"$first": "$there"}, {"$match": {"made.owner": owner}}], [{"$last": "$there.owner"}, {"$match": {"made": {"$ne": owner}}}],
            [{"$arrayElemAt": ["$there", r.randrange(-3, 4)]}], [{"$arrayElemAt": ["$there.owner", 0]}],
            [{"$slice": ["$there", r.randrange(3), 2]}], [{"$reverseArray": "$there"}], [{"$ifNull": [{"$first": "$there.owner"}, owner]}]])
        if r.random() < 0.3:
            more.append({"$match": r.choice([{"there": {"$ne": []}}, {"there": []}, {"there": {"$size": 1}}, {"there.1": {"$exists": True}}])})
        return self.aggregate(kind, "people", there, {"$addFields": {"made": made}}, *more)

    def error_of_the_server(self, kind):
        collection = self.collection()
        return self.random.choice([
            lambda: self.find(kind, {**self.equality(collection), "ward": {"$mod": [0, 0]}}, collection),
            lambda: self.find(kind, {**self.equality(collection), "name": {"$regex": "("}}, collection),
            lambda: self.aggregate(kind, collection, {"$limit": 0}),
            lambda: self.update(kind, collection, {"_id": self.random.randrange(30)}, {"$inc": {"name": 1}})])()

    # Writing

    def protected_set(self, collection, deterministic=None):
        field = self.field(collection, deterministic)
        return {field.path: self.value(field)}, field

    def update(self, kind, collection, filter, update, counts_modified=True, **options):
        statement = {"q": filter, "u": update, "multi": self.random.random() < 0.5 and not options.get("upsert"), **options}
        return Case(kind, {"update": collection, "updates": [statement]}, counts_modified=counts_modified)

    def one(self, collection):
        """A filter of writes: mostly few documents."""
        return {"_id": self.random.randrange(30)} if self.random.random() < 0.5 else self.filter(collection)

    def insert(self, kind):
        collection = self.collection()
        # An _id that is there already now and then: both must refuse it.
        ids = [self.random.randrange(30) if self.random.random() < 0.1 else self.fresh_id() for _ in range(self.random.randrange(1, 4))]
        documents = [document(self.random, collection, number) for number in ids]
        return Case(kind, {"insert": collection, "documents": documents, "ordered": self.random.random() < 0.5})

    def set_plain(self, kind):
        collection = self.collection()
        return self.update(kind, collection, self.one(collection), {"$set": {"name": self.random.choice(WORDS), "place.city": "new"}})

    def set_protected(self, kind):
        collection = self.collection()
        values, field = self.protected_set(collection)
        return self.update(kind, collection, self.one(collection), {"$set": {**values, "n": self.random.randrange(100)}}, field.deterministic)

    def set_parent(self, kind):
        insurance = {"provider": self.random.choice(WORDS)}
        for field in self.fields("people"):
            if field.path.startswith("insurance.") and self.random.random() < 0.7:
                insurance[field.path.split(".")[1]] = self.value(field)
        return self.update(kind, "people", self.one("people"), {"$set": {"insurance": insurance}}, counts_modified=False)

    def unset_fields(self, kind):
        collection = self.collection()
        return self.update(kind, collection, self.one(collection), {"$unset": {self.field(collection).path: "", "status": ""}})

    def upsert(self, kind):
        collection = self.collection()
        values, field = self.protected_set(collection, True)
        number = self.random.choice([self.fresh_id(), self.random.randrange(30)])
        on_insert, _ = self.protected_set(collection)
        if set(on_insert) == set(values):
            on_insert = {"n": 1}
        return self.update(kind, collection, {"_id": number}, {"$set": values, "$setOnInsert": on_insert}, upsert=True)

    def rename(self, kind):
        collection = self.collection()
        return self.update(kind, collection, self.one(collection), {"$rename": {"status": "state"}})

    def rename_protected(self, kind):
        # Of one type, under one key.
        source, target = self.random.sample(["email", "contact.home.phone"], 2)
        return self.update(kind, "people", self.one("people"), {"$rename": {source: target}}, counts_modified=False)

    def plain_operators(self, kind):
        r, collection = self.random, self.collection()
        operators = r.choice([
            {"$inc": {"n": 3}}, {"$mul": {"n": 2}}, {"$min": {"ward": 2}}, {"$max": {"ward": 3}}, {"$bit": {"n": {"or": 4}}},
            {"$push": {"tags": r.choice(WORDS)}}, {"$addToSet": {"tags": r.choice(WORDS)}},
            {"$push": {"tags": {"$each": r.sample(WORDS, 2), "$slice": -3}}}])
        return self.update(kind, collection, self.one(collection), operators)

    def replace(self, kind):
        collection = self.collection()
        number = self.random.randrange(30)
        made = document(self.random, collection, number)
        case = self.update(kind, collection, {"_id": number}, made, counts_modified=False)
        case.command["updates"][0]["multi"] = False
        return case

    def delete(self, kind):
        collection = self.collection()
        limit = 0 if self.random.random() < 0.2 else 1
        filter = {"_id": self.random.randrange(30), **self.equality(collection)} if limit else {**self.equality(collection), "n": {"$lt": 20}}
        return Case(kind, {"delete": collection, "deletes": [{"q": filter, "limit": limit}]})

    def several_statements(self, kind):
        collection = self.collection()
        updates = []
        for _ in range(3):
            values, _field = self.protected_set(collection, True)
            updates.append({"q": {"_id": self.random.randrange(30)}, "u": {"$set": {**values, "n": self.random.randrange(100)}}})
        return Case(kind, {"update": collection, "updates": updates, "ordered": self.random.random() < 0.5})

    def findandmodify(self, kind):
        collection = self.collection()
        values, _ = self.protected_set(collection)
        options = {"fields": self.projection(collection)} if self.random.random() < 0.3 else {}
        return Case(kind, {"findAndModify": collection, "query": self.filter(collection), "sort": self.sorting(),
                           "update": {"$set": values, "$inc": {"n": 1}}, "new": self.random.random() < 0.5, **options})

    def findandmodify_remove(self, kind):
        collection = self.collection()
        return Case(kind, {"findAndModify": collection, "query": {"_id": self.random.randrange(30), **self.equality(collection)}, "remove": True})

    def update_pipeline(self, kind):
        collection = self.collection()
        stages = self.random.choice([
            [{"$set": {"total": {"$add": ["$ward", "$n"]}}}], [{"$unset": "status"}],
            [{"$set": {"known": self.comparison(collection)}}], [{"$set": self.protected_set(collection)[0]}]])
        return self.update(kind, collection, self.one(collection), stages, counts_modified=False)

    def bulkwrite(self, kind):
        first, second = self.random.choice([("people", "accounts"), ("people", "wards"), ("accounts", "people")])
        operations = [{"insert": 0, "document": document(self.random, first, self.fresh_id())},
                      {"update": 0, "filter": self.equality(first), "updateMods": {"$set": {"n": 7}}},
                      {"delete": 1, "filter": {"_id": self.random.randrange(30)}, "multi": False},
                      {"insert": 1, "document": {"_id": self.fresh_id(), **plain_fields(self.random)}}]
        return Case(kind, {"bulkWrite": 1, "ops": operations, "nsInfo": [{"ns": first}, {"ns": second}]}, database="admin")

    def make(self, kind):
        return getattr(self, kind.lower().replace("$", "").replace(" ", "_"))(kind)


READING = list(KINDS)[:list(KINDS).index("insert")]
WRITING = list(KINDS)[list(KINDS).index("insert"):]
