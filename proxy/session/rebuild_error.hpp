#pragma once

#include <boost/system/error_code.hpp>

#include "proxy/bson/builder.hpp"
#include "proxy/bson/view.hpp"

// Server errors of protected namespaces, written anew (design: "Server errors of protected namespaces are
// never decrypted"). A server's errmsg, keyValue and errInfo quote stored values: ciphertext, or plaintext
// from before the field was protected. Nothing of them is copied. What comes through are numbers, names of
// codes, labels and index keys, each only in the characters and the length such a name has.
//
// Every function takes an element's document whose top level was checked and writes one document at the end
// of `out`. What is malformed further inside is left out, not reported: the error itself must reach the
// client.
namespace fieldgate::session {

// A reply of {ok: 0, ...}: ok, errmsg, code, codeName, keyPattern, errorLabels, writeConcernError,
// topologyVersion, operationTime, $clusterTime.
void rebuild_command_error(bson::DocumentView reply, bson::Buffer& out);

// One entry of writeErrors: index, code, keyPattern, errmsg.
void rebuild_write_error(bson::DocumentView entry, bson::Buffer& out);

// One failed operation of a bulkWrite: ok, idx, code, codeName, keyPattern, errmsg, n, nModified.
void rebuild_bulk_error(bson::DocumentView entry, bson::Buffer& out);

// writeConcernError: code, codeName, errmsg.
void rebuild_write_concern_error(bson::DocumentView entry, bson::Buffer& out);

}  // namespace fieldgate::session
