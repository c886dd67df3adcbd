// The clinic's day, shared by the Node.js driver and mongosh: both give collections with the same methods,
// except that mongosh's cursors are synchronous to look at; awaiting their toArray serves both.
'use strict';

function toDocument(p) {
    return {
        name: p.name, ssn: p.ssn, bloodType: p.bloodType, medicalRecords: p.medicalRecords, insurance: p.insurance,
        email: p.email, dateOfBirth: new Date(p.dateOfBirthMs),
    };
}

async function codeOf(ask) {
    try {
        return { values: await ask() };
    } catch (error) {
        return { code: error.code };
    }
}

async function play(doctors, desk, given, driver) {
    const { first, others } = given;
    const result = { driver };
    await doctors.insertOne(toDocument(first));
    await doctors.insertMany(others.map(toDocument));
    const found = await doctors.findOne({ ssn: first.ssn });
    result.by_ssn = {
        name: found.name, ssn: found.ssn, bloodType: found.bloodType, email: found.email,
        policyNumber: found.insurance.policyNumber, note: found.medicalRecords[0].note,
        dateOfBirthMs: found.dateOfBirth.getTime(),
    };
    result.by_policy = (await doctors.findOne({ 'insurance.policyNumber': others[0].insurance.policyNumber })).name;
    await doctors.updateOne({ ssn: first.ssn }, { $set: { email: given.newEmail } });
    const changed = await doctors.findOneAndUpdate(
        { ssn: first.ssn }, { $set: { bloodType: given.newBlood } }, { returnDocument: 'after' });
    result.changed = [changed.email, changed.bloodType];
    result.emails = (await doctors.find({}).sort({ name: 1 }).batchSize(2).toArray()).map((d) => d.email);
    result.distinct = (await doctors.distinct('ssn')).sort((a, b) => a - b);
    result.count = await doctors.countDocuments({ ssn: { $in: others.map((p) => p.ssn) } });
    result.aggregate = await doctors.aggregate(
        [{ $match: { ssn: first.ssn } }, { $project: { _id: 0, ssn: 1 } }]).toArray();
    result.deleted = (await doctors.deleteOne(
        { 'insurance.policyNumber': others[others.length - 1].insurance.policyNumber })).deletedCount;
    result.desk = await desk.find({}).sort({ name: 1 }).batchSize(2).toArray();
    result.desk_modified = await desk.findOneAndUpdate({ name: first.name }, { $set: { seen: true } });
    result.desk_distinct = await codeOf(() => desk.distinct('ssn'));
    result.desk_match = await codeOf(() => desk.findOne({ ssn: first.ssn }));
    result.desk_write = await codeOf(() => desk.updateOne({ name: first.name }, { $set: { ssn: 1 } }));
    return result;
}

module.exports = { play };
