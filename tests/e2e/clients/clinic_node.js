// The clinic with the Node.js driver. FIELDGATE_NODE_MODULES says where the driver is installed.
'use strict';

const fs = require('fs');
const path = require('path');

const modules = process.env.FIELDGATE_NODE_MODULES;
const { MongoClient } = require(path.join(modules, 'mongodb'));

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

async function main([doctorsUri, receptionistsUri, parameters]) {
    const given = JSON.parse(fs.readFileSync(parameters, 'utf8'));
    const clients = [new MongoClient(doctorsUri), new MongoClient(receptionistsUri)];
    const [doctors, desk] = clients.map((client) => client.db(given.database).collection('patients'));
    const version = require(path.join(modules, 'mongodb', 'package.json')).version;
    console.log('RESULT ' + JSON.stringify(await play(doctors, desk, given, 'node ' + version)));
    await Promise.all(clients.map((client) => client.close()));
}

main(process.argv.slice(2)).catch((error) => {
    console.error(error);
    process.exit(1);  // the clients are still connected and would keep the process alive
});
