#include "proxy/analysis/expressions.hpp"
#include "proxy/analysis/pipeline.hpp"

namespace fieldgate::analysis {
namespace {

bool refuse_expression(Request& request, const bson::Element& expression) {
    return request.refuse(code::operation_not_on_encrypted,
                          "An expression at " + quote(expression.key()) +
                              " uses aggregation expression syntax, which is not allowed on a namespace with "
                              "encrypted fields");
}

}  // namespace

bool walk_condition(Request& request, const bson::Element& expression) {
    return refuse_expression(request, expression);
}

bool walk_let(Request& request, const bson::Element& let) {
    return refuse_expression(request, let);
}

bool walk_update_pipeline(Request& request, const bson::Element& pipeline) {
    return refuse_expression(request, pipeline);
}

}  // namespace fieldgate::analysis
