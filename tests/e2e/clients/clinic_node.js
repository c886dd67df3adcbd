// The clinic with the Node.js driver. FIELDGATE_NODE_MODULES says where the driver is installed.
'use strict';

const fs = require('fs');
const path = require('path');
const { play } = require('./clinic_steps.js');

const modules = process.env.FIELDGATE_NODE_MODULES;
const { MongoClient } = require(path.join(modules, 'mongodb'));

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
    process.exitCode = 1;
});
