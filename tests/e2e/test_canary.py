"""What the server saw so far, byte for byte; the whole of it is judged when the stand closes (conftest.py)."""

import canary
import pytest


@pytest.mark.timeout(300)
def test_no_protected_plaintext_reached_the_server(stand, patients, patient, secrets):
    document = patient()  # so that this finds something to judge when it runs alone
    patients.insert_one(document)
    patients.find_one({"ssn": document["ssn"]})
    patients.update_one({"insurance.policyNumber": document["insurance"]["policyNumber"]}, {"$set": {"email": secrets.text("email")}})
    findings = canary.scan(stand.recorder.files_to_server(), secrets)
    assert findings.problems == []
    assert findings.sealed_in_documents >= 7 and findings.sealed_in_predicates >= 2
    print(f"{findings.messages} messages, {findings.sealed_in_documents} sealed values in documents, "
          f"{findings.sealed_in_predicates} in predicates, {len(secrets.needles) + len(secrets.numbers)} plaintexts searched for")
