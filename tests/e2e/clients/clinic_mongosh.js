// The clinic in mongosh: mongosh DOCTORS_URI --file clinic_mongosh.js, the rest in the environment.
const clinicGiven = JSON.parse(require('fs').readFileSync(process.env.CLINIC_PARAMETERS, 'utf8'));
const clinicSteps = require(process.env.CLINIC_STEPS);
const clinicDoctors = db.getMongo().getDB(clinicGiven.database).getCollection('patients');
const clinicDesk = new Mongo(process.env.CLINIC_RECEPTIONISTS).getDB(clinicGiven.database).getCollection('patients');
const clinicResult = await clinicSteps.play(clinicDoctors, clinicDesk, clinicGiven, 'mongosh ' + version());
print('RESULT ' + EJSON.stringify(clinicResult, { relaxed: true }));
