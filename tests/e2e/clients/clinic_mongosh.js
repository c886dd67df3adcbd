// The clinic in mongosh, as a person would type it: the shell waits for each call by itself.
//
// mongosh DOCTORS_URI --file clinic_mongosh.js, the rest in the environment.
const given = JSON.parse(require('fs').readFileSync(process.env.CLINIC_PARAMETERS, 'utf8'));
const { first, others } = given;
const doctors = db.getSiblingDB(given.database).patients;
const desk = new Mongo(process.env.CLINIC_RECEPTIONISTS).getDB(given.database).patients;
const result = { driver: 'mongosh ' + version() };

const toDocument = (p) => ({
    name: p.name, ssn: p.ssn, bloodType: p.bloodType, medicalRecords: p.medicalRecords, insurance: p.insurance,
    email: p.email, dateOfBirth: new Date(p.dateOfBirthMs),
});

doctors.insertOne(toDocument(first));
doctors.insertMany(others.map(toDocument));
const found = doctors.findOne({ ssn: first.ssn });
result.by_ssn = {
    name: found.name, ssn: found.ssn, bloodType: found.bloodType, email: found.email,
    policyNumber: found.insurance.policyNumber, note: found.medicalRecords[0].note,
    dateOfBirthMs: found.dateOfBirth.getTime(),
};
result.by_policy = doctors.findOne({ 'insurance.policyNumber': others[0].insurance.policyNumber }).name;
doctors.updateOne({ ssn: first.ssn }, { $set: { email: given.newEmail } });
const changed = doctors.findOneAndUpdate(
    { ssn: first.ssn }, { $set: { bloodType: given.newBlood } }, { returnDocument: 'after' });
result.changed = [changed.email, changed.bloodType];
result.emails = doctors.find().sort({ name: 1 }).batchSize(2).toArray().map((d) => d.email);
result.distinct = doctors.distinct('ssn').sort((a, b) => a - b);
result.count = doctors.countDocuments({ ssn: { $in: others.map((p) => p.ssn) } });
result.aggregate = doctors.aggregate([{ $match: { ssn: first.ssn } }, { $project: { _id: 0, ssn: 1 } }]).toArray();
result.deleted = doctors.deleteOne(
    { 'insurance.policyNumber': others[others.length - 1].insurance.policyNumber }).deletedCount;
result.desk = desk.find().sort({ name: 1 }).batchSize(2).toArray();
result.desk_modified = desk.findOneAndUpdate({ name: first.name }, { $set: { seen: true } });
try {
    result.desk_distinct = { values: desk.distinct('ssn') };
} catch (error) {
    result.desk_distinct = { code: error.code };
}
try {
    result.desk_match = { values: desk.findOne({ ssn: first.ssn }) };
} catch (error) {
    result.desk_match = { code: error.code };
}
try {
    result.desk_write = { values: desk.updateOne({ name: first.name }, { $set: { ssn: 1 } }) };
} catch (error) {
    result.desk_write = { code: error.code };
}
print('RESULT ' + JSON.stringify(result));
