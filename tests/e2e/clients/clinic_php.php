<?php
// The clinic with the PHP extension alone (MongoDB\Driver), as Debian has it.

use MongoDB\BSON\Binary;
use MongoDB\BSON\UTCDateTime;
use MongoDB\Driver\BulkWrite;
use MongoDB\Driver\Command;
use MongoDB\Driver\Exception\Exception as DriverException;
use MongoDB\Driver\Manager;
use MongoDB\Driver\Query;

// One collection, with the few calls that the clinic needs.
class Collection
{
    private const AS_ARRAYS = ['root' => 'array', 'document' => 'array', 'array' => 'array'];

    public function __construct(private Manager $manager, private string $database, private string $name) {}

    public function write(callable $fill): MongoDB\Driver\WriteResult
    {
        $bulk = new BulkWrite();
        $fill($bulk);
        return $this->manager->executeBulkWrite("$this->database.$this->name", $bulk);
    }

    public function find(array $filter, array $options = []): array
    {
        $cursor = $this->manager->executeQuery("$this->database.$this->name", new Query((object) $filter, $options));
        $cursor->setTypeMap(self::AS_ARRAYS);
        return $cursor->toArray();
    }

    public function command(array $command, bool $write = false): array
    {
        $command = new Command([array_key_first($command) => $this->name] + $command);
        $cursor = $write ? $this->manager->executeReadWriteCommand($this->database, $command)
            : $this->manager->executeReadCommand($this->database, $command);
        $cursor->setTypeMap(self::AS_ARRAYS);
        return $cursor->toArray();
    }

    public function change(array $query, array $update, bool $new): ?array
    {
        return $this->command(['findAndModify' => '', 'query' => $query, 'update' => $update, 'new' => $new], true)[0]['value'];
    }

    public function distinct(string $key): array
    {
        return $this->command(['distinct' => '', 'key' => $key])[0]['values'];
    }
}

function to_document(array $patient): array
{
    $document = array_intersect_key($patient, array_flip(
        ['name', 'ssn', 'bloodType', 'medicalRecords', 'insurance', 'email']));
    return $document + ['dateOfBirth' => new UTCDateTime($patient['dateOfBirthMs'])];
}

function code_of(callable $ask): array
{
    try {
        return ['values' => $ask()];
    } catch (DriverException $error) {
        return ['code' => $error->getCode()];
    }
}

function view_of(array $found): array
{
    return [
        'name' => $found['name'], 'ssn' => $found['ssn'], 'bloodType' => $found['bloodType'], 'email' => $found['email'],
        'policyNumber' => $found['insurance']['policyNumber'], 'note' => $found['medicalRecords'][0]['note'],
        'dateOfBirthMs' => (int) (string) $found['dateOfBirth'],
    ];
}

function doctors_manager(string $uri, array $given, string $text): Manager
{
    if (!isset($given['csfle'])) {
        return new Manager($uri);
    }
    $csfle = $given['csfle'];
    // As BSON, because the schema holds a UUID.
    $schemas = MongoDB\BSON\toPHP(MongoDB\BSON\fromJSON($text))->csfle->schemaMap;
    return new Manager($uri, [], ['autoEncryption' => [
        'keyVaultNamespace' => $csfle['keyVault'],
        'kmsProviders' => ['local' => ['key' => new Binary(base64_decode($csfle['masterKey']), Binary::TYPE_GENERIC)]],
        'schemaMap' => $schemas,
        'extraOptions' => ['mongocryptdURI' => $csfle['analyser'], 'mongocryptdBypassSpawn' => true],
    ]]);
}

function play(Collection $doctors, Collection $desk, array $given): array
{
    [$first, $others] = [$given['first'], $given['others']];
    $by_ssn = ['ssn' => $first['ssn']];
    $doctors->write(fn ($bulk) => $bulk->insert(to_document($first)));
    $doctors->write(fn ($bulk) => array_map(fn ($p) => $bulk->insert(to_document($p)), $others));
    $result = ['driver' => 'php ' . phpversion('mongodb'), 'by_ssn' => view_of($doctors->find($by_ssn)[0])];
    $result['by_policy'] = $doctors->find(['insurance.policyNumber' => $others[0]['insurance']['policyNumber']])[0]['name'];
    $doctors->write(fn ($bulk) => $bulk->update($by_ssn, ['$set' => ['email' => $given['newEmail']]]));
    $changed = $doctors->change($by_ssn, ['$set' => ['bloodType' => $given['newBlood']]], true);
    $result['changed'] = [$changed['email'], $changed['bloodType']];
    $result['emails'] = array_column($doctors->find([], ['sort' => ['name' => 1], 'batchSize' => 2]), 'email');
    $result['distinct'] = $doctors->distinct('ssn');
    sort($result['distinct']);
    $result['count'] = $doctors->command(
        ['count' => '', 'query' => ['ssn' => ['$in' => array_column($others, 'ssn')]]])[0]['n'];
    $result['aggregate'] = $doctors->command(['aggregate' => '', 'cursor' => (object) [], 'pipeline' => [
        ['$match' => $by_ssn], ['$project' => ['_id' => 0, 'ssn' => 1]]]]);
    $last = end($others)['insurance']['policyNumber'];
    $result['deleted'] = $doctors->write(
        fn ($bulk) => $bulk->delete(['insurance.policyNumber' => $last], ['limit' => 1]))->getDeletedCount();
    $by_name = ['name' => $first['name']];
    $result['desk'] = $desk->find([], ['sort' => ['name' => 1], 'batchSize' => 2]);
    $result['desk_modified'] = $desk->change($by_name, ['$set' => ['seen' => true]], false);
    $result['desk_distinct'] = code_of(fn () => $desk->distinct('ssn'));
    $result['desk_match'] = code_of(fn () => $desk->find($by_ssn));
    $result['desk_write'] = code_of(
        fn () => $desk->write(fn ($bulk) => $bulk->update($by_name, ['$set' => ['ssn' => 1]]))->getModifiedCount());
    return $result;
}

$text = file_get_contents($argv[3]);
$given = json_decode($text, true);
$manager = doctors_manager($argv[1], $given, $text);
$result = play(new Collection($manager, $given['database'], 'patients'),
    new Collection(new Manager($argv[2]), $given['database'], 'patients'), $given);
if (isset($given['csfle'])) {
    $written = $given['csfle']['written'];
    $result['written'] = view_of((new Collection($manager, $written['database'], 'patients'))->find(['ssn' => $written['ssn']])[0]);
    $result['refused'] = code_of(fn () => (new Collection($manager, $given['database'], 'patients'))->find(['email' => 'x']));
}
echo 'RESULT ' . json_encode($result) . "\n";
