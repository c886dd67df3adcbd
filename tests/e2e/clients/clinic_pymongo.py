"""The clinic with PyMongo: runs unchanged on 3.11 and 4.x."""

import base64
import datetime
import json
import sys

import pymongo
from pymongo.errors import EncryptionError, OperationFailure

EPOCH = datetime.datetime(1970, 1, 1)


def to_document(p):
    return {
        "name": p["name"], "ssn": p["ssn"], "bloodType": p["bloodType"], "medicalRecords": p["medicalRecords"],
        "insurance": p["insurance"], "email": p["email"],
        "dateOfBirth": EPOCH + datetime.timedelta(milliseconds=p["dateOfBirthMs"]),
    }


def code_of(ask):
    try:
        return {"values": ask()}
    except OperationFailure as error:
        return {"code": error.code}
    except EncryptionError as error:
        return {"code": error.cause.code}


def view_of(found):
    return {
        "name": found["name"], "ssn": found["ssn"], "bloodType": found["bloodType"], "email": found["email"],
        "policyNumber": found["insurance"]["policyNumber"], "note": found["medicalRecords"][0]["note"],
        "dateOfBirthMs": int((found["dateOfBirth"] - EPOCH).total_seconds() * 1000 + 0.5)}


def doctors_client(uri, csfle):
    """With automatic encryption by the driver itself, if the parameters say so."""
    if csfle is None:
        return pymongo.MongoClient(uri)
    from bson import json_util
    from pymongo.encryption_options import AutoEncryptionOpts
    return pymongo.MongoClient(uri, auto_encryption_opts=AutoEncryptionOpts(
        {"local": {"key": base64.b64decode(csfle["masterKey"])}}, csfle["keyVault"],
        schema_map=json_util.loads(json.dumps(csfle["schemaMap"])),
        mongocryptd_uri=csfle["analyser"], mongocryptd_bypass_spawn=True))


def play(doctors, desk, given):
    first, others = given["first"], given["others"]
    doctors.insert_one(to_document(first))
    doctors.insert_many([to_document(p) for p in others])
    result = {"driver": "pymongo " + pymongo.version, "by_ssn": view_of(doctors.find_one({"ssn": first["ssn"]}))}
    result["by_policy"] = doctors.find_one({"insurance.policyNumber": others[0]["insurance"]["policyNumber"]})["name"]
    doctors.update_one({"ssn": first["ssn"]}, {"$set": {"email": given["newEmail"]}})
    changed = doctors.find_one_and_update({"ssn": first["ssn"]}, {"$set": {"bloodType": given["newBlood"]}},
                                          return_document=pymongo.ReturnDocument.AFTER)
    result["changed"] = [changed["email"], changed["bloodType"]]
    result["emails"] = [d["email"] for d in doctors.find(batch_size=2).sort("name", 1)]
    result["distinct"] = sorted(doctors.distinct("ssn"))
    result["count"] = doctors.count_documents({"ssn": {"$in": [p["ssn"] for p in others]}})
    result["aggregate"] = list(doctors.aggregate([{"$match": {"ssn": first["ssn"]}}, {"$project": {"_id": 0, "ssn": 1}}]))
    last = others[-1]["insurance"]["policyNumber"]
    result["deleted"] = doctors.delete_one({"insurance.policyNumber": last}).deleted_count
    result["desk"] = [json.loads(json.dumps(d, default=str)) for d in desk.find(batch_size=2).sort("name", 1)]
    result["desk_modified"] = json.loads(json.dumps(
        desk.find_one_and_update({"name": first["name"]}, {"$set": {"seen": True}}), default=str))
    result["desk_distinct"] = code_of(lambda: desk.distinct("ssn"))
    result["desk_match"] = code_of(lambda: desk.find_one({"ssn": first["ssn"]}))
    result["desk_write"] = code_of(lambda: desk.update_one({"name": first["name"]}, {"$set": {"ssn": 1}}).modified_count)
    return result


def main(doctors_uri, receptionists_uri, parameters):
    with open(parameters) as file:
        given = json.load(file)
    csfle = given.get("csfle")
    client = doctors_client(doctors_uri, csfle)
    doctors = client[given["database"]].patients
    desk = pymongo.MongoClient(receptionists_uri)[given["database"]].patients
    result = play(doctors, desk, given)
    if csfle is not None:
        written = csfle["written"]
        result["written"] = view_of(client[written["database"]].patients.find_one({"ssn": written["ssn"]}))
        result["refused"] = code_of(lambda: doctors.find_one({"email": "x"}))
    print("RESULT " + json.dumps(result, default=str))


if __name__ == "__main__":
    main(*sys.argv[1:])
