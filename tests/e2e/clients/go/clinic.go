// The clinic with the Go driver.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log"
	"os"
	"sort"
	"time"

	"go.mongodb.org/mongo-driver/bson"
	"go.mongodb.org/mongo-driver/mongo"
	"go.mongodb.org/mongo-driver/mongo/options"
)

type insurance struct {
	Provider     string `json:"provider" bson:"provider"`
	PolicyNumber int32  `json:"policyNumber" bson:"policyNumber"`
}

type record struct {
	Weight        int32  `json:"weight" bson:"weight"`
	BloodPressure string `json:"bloodPressure" bson:"bloodPressure"`
	Note          string `json:"note" bson:"note"`
}

type patient struct {
	Name           string    `json:"name" bson:"name"`
	SSN            int32     `json:"ssn" bson:"ssn"`
	BloodType      string    `json:"bloodType" bson:"bloodType"`
	MedicalRecords []record  `json:"medicalRecords" bson:"medicalRecords"`
	Insurance      insurance `json:"insurance" bson:"insurance"`
	Email          string    `json:"email" bson:"email"`
	DateOfBirthMs  int64     `json:"dateOfBirthMs" bson:"-"`
	DateOfBirth    time.Time `json:"-" bson:"dateOfBirth"`
}

type given struct {
	Database string    `json:"database"`
	First    patient   `json:"first"`
	Others   []patient `json:"others"`
	NewEmail string    `json:"newEmail"`
	NewBlood string    `json:"newBlood"`
}

var ctx = context.Background()

func must(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

func collection(uri, database string) *mongo.Collection {
	client, err := mongo.Connect(ctx, options.Client().ApplyURI(uri))
	must(err)
	return client.Database(database).Collection("patients")
}

func document(p patient) patient {
	p.DateOfBirth = time.UnixMilli(p.DateOfBirthMs).UTC()
	return p
}

func codeOf(values interface{}, err error) bson.M {
	var commandError mongo.CommandError
	var writeError mongo.WriteException
	if errors.As(err, &commandError) {
		return bson.M{"code": commandError.Code}
	}
	if errors.As(err, &writeError) && len(writeError.WriteErrors) > 0 {
		return bson.M{"code": writeError.WriteErrors[0].Code}
	}
	must(err)
	return bson.M{"values": values}
}

func main() {
	text, err := os.ReadFile(os.Args[3])
	must(err)
	var in given
	must(json.Unmarshal(text, &in))
	doctors, desk := collection(os.Args[1], in.Database), collection(os.Args[2], in.Database)
	first, others := document(in.First), in.Others
	bySSN := bson.M{"ssn": first.SSN}
	result := bson.M{"driver": "go"}

	_, err = doctors.InsertOne(ctx, first)
	must(err)
	var all []interface{}
	var numbers []int32
	for _, p := range others {
		all = append(all, document(p))
		numbers = append(numbers, p.SSN)
	}
	_, err = doctors.InsertMany(ctx, all)
	must(err)
	var found, other, changed patient
	must(doctors.FindOne(ctx, bySSN).Decode(&found))
	result["by_ssn"] = bson.M{"name": found.Name, "ssn": found.SSN, "bloodType": found.BloodType, "email": found.Email,
		"policyNumber": found.Insurance.PolicyNumber, "note": found.MedicalRecords[0].Note,
		"dateOfBirthMs": found.DateOfBirth.UnixMilli()}
	must(doctors.FindOne(ctx, bson.M{"insurance.policyNumber": others[0].Insurance.PolicyNumber}).Decode(&other))
	result["by_policy"] = other.Name
	_, err = doctors.UpdateOne(ctx, bySSN, bson.M{"$set": bson.M{"email": in.NewEmail}})
	must(err)
	must(doctors.FindOneAndUpdate(ctx, bySSN, bson.M{"$set": bson.M{"bloodType": in.NewBlood}},
		options.FindOneAndUpdate().SetReturnDocument(options.After)).Decode(&changed))
	result["changed"] = []string{changed.Email, changed.BloodType}
	cursor, err := doctors.Find(ctx, bson.M{}, options.Find().SetSort(bson.M{"name": 1}).SetBatchSize(2))
	must(err)
	var patients []patient
	must(cursor.All(ctx, &patients))
	var emails []string
	for _, p := range patients {
		emails = append(emails, p.Email)
	}
	result["emails"] = emails
	values, err := doctors.Distinct(ctx, "ssn", bson.M{})
	must(err)
	sort.Slice(values, func(i, j int) bool { return values[i].(int32) < values[j].(int32) })
	result["distinct"] = values
	result["count"], err = doctors.CountDocuments(ctx, bson.M{"ssn": bson.M{"$in": numbers}})
	must(err)
	cursor, err = doctors.Aggregate(ctx, bson.A{bson.M{"$match": bySSN}, bson.M{"$project": bson.M{"_id": 0, "ssn": 1}}})
	must(err)
	aggregated := []bson.M{}
	must(cursor.All(ctx, &aggregated))
	result["aggregate"] = aggregated
	deleted, err := doctors.DeleteOne(ctx, bson.M{"insurance.policyNumber": others[len(others)-1].Insurance.PolicyNumber})
	must(err)
	result["deleted"] = deleted.DeletedCount

	cursor, err = desk.Find(ctx, bson.M{}, options.Find().SetSort(bson.M{"name": 1}).SetBatchSize(2))
	must(err)
	seen := []bson.M{}
	must(cursor.All(ctx, &seen))
	result["desk"] = seen
	byName := bson.M{"name": first.Name}
	var modified bson.M
	must(desk.FindOneAndUpdate(ctx, byName, bson.M{"$set": bson.M{"seen": true}}).Decode(&modified))
	result["desk_modified"] = modified
	withheld, err := desk.Distinct(ctx, "ssn", bson.M{})
	result["desk_distinct"] = codeOf(withheld, err)
	result["desk_match"] = codeOf(nil, desk.FindOne(ctx, bySSN).Err())
	_, err = desk.UpdateOne(ctx, byName, bson.M{"$set": bson.M{"ssn": 1}})
	result["desk_write"] = codeOf(nil, err)
	text, err = bson.MarshalExtJSON(result, false, false)
	must(err)
	fmt.Println("RESULT " + string(text))
}
