#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "support.hpp"

// Aggregations on the clinic's namespaces, and what comes out of them as text.
namespace fieldgate::analysis::testing {

// The clinic and two more protected namespaces: medicalRecords.visits, whose `patientSsn` has the encryption
// of the patients' `ssn`, whose `badge` has another key and whose `reason` is random; and
// medicalRecords.archive with the patients' own schema.
class Hospital : public Clinic {
 public:
    Hospital();

    Outcome aggregate(const std::string& stages, const std::string& collection = "patients",
                      const std::string& more = "") const;
    // `value` computed as field `x`.
    Outcome compute(const std::string& value) const;
};

// Where the reply's documents have what: "ssn=ssn, insurance{policyNumber=insurance.policyNumber}"; "x=?" is
// unknown, "x[...]" an array; fields of other namespaces than the plan's first are "visits:patientSsn".
std::string reply_tree(const Outcome& outcome);

// The tree of the patients' documents as they are stored.
extern const std::string whole_tree;

// Edits without the path before "pipeline[0].".
std::vector<std::string> edits_of(const Outcome& outcome);

}  // namespace fieldgate::analysis::testing
