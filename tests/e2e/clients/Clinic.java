// The clinic with the Java driver (synchronous).
import com.mongodb.AutoEncryptionSettings;
import com.mongodb.ConnectionString;
import com.mongodb.MongoClientSettings;
import com.mongodb.MongoException;
import com.mongodb.client.MongoClient;
import com.mongodb.client.MongoClients;
import com.mongodb.client.MongoCollection;
import com.mongodb.client.model.FindOneAndUpdateOptions;
import com.mongodb.client.model.ReturnDocument;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Base64;
import java.util.Date;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import org.bson.BsonDocument;
import org.bson.Document;
import org.bson.json.JsonMode;
import org.bson.json.JsonWriterSettings;

public class Clinic {
    static Document toDocument(Document p) {
        return new Document("name", p.get("name")).append("ssn", p.get("ssn")).append("bloodType", p.get("bloodType"))
            .append("medicalRecords", p.get("medicalRecords")).append("insurance", p.get("insurance"))
            .append("email", p.get("email")).append("dateOfBirth", new Date(((Number) p.get("dateOfBirthMs")).longValue()));
    }

    static Document view(Document found) {
        return new Document("name", found.get("name")).append("ssn", found.get("ssn"))
            .append("bloodType", found.get("bloodType")).append("email", found.get("email"))
            .append("policyNumber", found.get("insurance", Document.class).get("policyNumber"))
            .append("note", found.getList("medicalRecords", Document.class).get(0).get("note"))
            .append("dateOfBirthMs", found.getDate("dateOfBirth").getTime());
    }

    // With automatic encryption by the driver itself, if the parameters say so.
    static MongoClientSettings settings(String uri, Document csfle, String parameters) {
        MongoClientSettings.Builder settings = MongoClientSettings.builder().applyConnectionString(new ConnectionString(uri));
        if (csfle == null) return settings.build();
        Map<String, BsonDocument> schemas = new HashMap<>();
        // Not through Document, whose UUIDs would need a representation.
        BsonDocument.parse(parameters).getDocument("csfle").getDocument("schemaMap").forEach(
            (namespace, schema) -> schemas.put(namespace, schema.asDocument()));
        Map<String, Object> local = Map.of("key", Base64.getDecoder().decode(csfle.getString("masterKey")));
        return settings.autoEncryptionSettings(AutoEncryptionSettings.builder()
            .keyVaultNamespace(csfle.getString("keyVault")).kmsProviders(Map.of("local", local)).schemaMap(schemas)
            .extraOptions(Map.of("mongocryptdURI", csfle.getString("analyser"), "mongocryptdBypassSpawn", true))
            .build()).build();
    }

    static Document codeOf(Callable<Object> ask) throws Exception {
        try {
            return new Document("values", ask.call());
        } catch (MongoException error) {
            // What the driver's own encryption was refused is the cause of what it throws.
            return new Document("code", error.getCause() instanceof MongoException cause ? cause.getCode() : error.getCode());
        }
    }

    public static void main(String[] arguments) throws Exception {
        String text = Files.readString(Path.of(arguments[2]));
        Document given = Document.parse(text);
        Document csfle = given.get("csfle", Document.class);
        try (MongoClient doctorsClient = MongoClients.create(settings(arguments[0], csfle, text));
             MongoClient deskClient = MongoClients.create(arguments[1])) {
            String database = given.getString("database");
            MongoCollection<Document> doctors = doctorsClient.getDatabase(database).getCollection("patients");
            MongoCollection<Document> desk = deskClient.getDatabase(database).getCollection("patients");
            Document result = play(doctors, desk, given);
            if (csfle != null) {
                Document written = csfle.get("written", Document.class);
                result.append("written", view(doctorsClient.getDatabase(written.getString("database")).getCollection("patients")
                    .find(new Document("ssn", written.get("ssn"))).first()));
                result.append("refused", codeOf(() -> doctors.find(new Document("email", "x")).first()));
            }
            System.out.println("RESULT " + result.toJson(
                JsonWriterSettings.builder().outputMode(JsonMode.RELAXED).build()));
        }
    }

    static Document play(MongoCollection<Document> doctors, MongoCollection<Document> desk, Document given) throws Exception {
        Document first = given.get("first", Document.class);
        List<Document> others = given.getList("others", Document.class);
        Document result = new Document("driver", "java");
        doctors.insertOne(toDocument(first));
        doctors.insertMany(others.stream().map(Clinic::toDocument).toList());
        Document bySsn = new Document("ssn", first.get("ssn"));
        result.append("by_ssn", view(doctors.find(bySsn).first()));
        Object policy = others.get(0).get("insurance", Document.class).get("policyNumber");
        result.append("by_policy", doctors.find(new Document("insurance.policyNumber", policy)).first().get("name"));
        doctors.updateOne(bySsn, new Document("$set", new Document("email", given.get("newEmail"))));
        Document changed = doctors.findOneAndUpdate(bySsn,
            new Document("$set", new Document("bloodType", given.get("newBlood"))),
            new FindOneAndUpdateOptions().returnDocument(ReturnDocument.AFTER));
        result.append("changed", List.of(changed.get("email"), changed.get("bloodType")));
        List<Object> emails = new ArrayList<>();
        doctors.find().sort(new Document("name", 1)).batchSize(2).forEach(d -> emails.add(d.get("email")));
        result.append("emails", emails);
        result.append("distinct", doctors.distinct("ssn", Integer.class).into(new ArrayList<>()).stream().sorted().toList());
        List<Object> numbers = new ArrayList<>();
        others.forEach(p -> numbers.add(p.get("ssn")));
        result.append("count", doctors.countDocuments(new Document("ssn", new Document("$in", numbers))));
        result.append("aggregate", doctors.aggregate(List.of(new Document("$match", bySsn),
            new Document("$project", new Document("_id", 0).append("ssn", 1)))).into(new ArrayList<>()));
        Object last = others.get(others.size() - 1).get("insurance", Document.class).get("policyNumber");
        result.append("deleted", doctors.deleteOne(new Document("insurance.policyNumber", last)).getDeletedCount());
        result.append("desk", desk.find().sort(new Document("name", 1)).batchSize(2).into(new ArrayList<>()));
        Document byName = new Document("name", first.get("name"));
        result.append("desk_modified", desk.findOneAndUpdate(byName, new Document("$set", new Document("seen", true))));
        result.append("desk_distinct", codeOf(() -> desk.distinct("ssn", Integer.class).into(new ArrayList<>())));
        result.append("desk_match", codeOf(() -> desk.find(bySsn).first()));
        result.append("desk_write", codeOf(
            () -> desk.updateOne(byName, new Document("$set", new Document("ssn", 1))).getModifiedCount()));
        return result;
    }
}
