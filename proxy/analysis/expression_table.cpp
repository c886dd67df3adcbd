#include <algorithm>
#include <array>

#include "proxy/analysis/expressions.hpp"

namespace fieldgate::analysis {
namespace {

using enum ExpressionRule;

// "Aggregation Operators" of the MongoDB manual, 8.0; accumulators that may stand in expressions included.
constexpr ExpressionOperator plain(std::string_view name) {
    return {name, plain_only};
}

constexpr std::array operators{
    // Comparison, conditions, variables
    ExpressionOperator{"$eq", equality},
    ExpressionOperator{"$ne", equality},
    ExpressionOperator{"$in", membership},
    ExpressionOperator{"$cond", condition},
    ExpressionOperator{"$ifNull", if_null},
    ExpressionOperator{"$switch", branches},
    ExpressionOperator{"$let", variables},
    ExpressionOperator{"$literal", constant},
    ExpressionOperator{"$const", constant},
    plain("$cmp"),
    plain("$gt"),
    plain("$gte"),
    plain("$lt"),
    plain("$lte"),
    plain("$and"),
    plain("$or"),
    plain("$not"),

    // Objects and arrays
    ExpressionOperator{"$mergeObjects", merge},
    ExpressionOperator{"$getField", by_name},
    ExpressionOperator{"$setField", by_name},
    ExpressionOperator{"$unsetField", by_name},
    ExpressionOperator{"$map", element_wise},
    ExpressionOperator{"$filter", element_wise},
    ExpressionOperator{"$reduce", element_wise},
    ExpressionOperator{"$arrayElemAt", of_array},
    plain("$arrayToObject"),
    plain("$concatArrays"),
    ExpressionOperator{"$first", of_array},
    plain("$firstN"),
    plain("$indexOfArray"),
    ExpressionOperator{"$isArray", of_array},
    ExpressionOperator{"$last", of_array},
    plain("$lastN"),
    plain("$maxN"),
    plain("$minN"),
    plain("$objectToArray"),
    plain("$range"),
    ExpressionOperator{"$reverseArray", of_array},
    ExpressionOperator{"$size", of_array},
    ExpressionOperator{"$slice", of_array},
    plain("$sortArray"),
    plain("$zip"),
    plain("$allElementsTrue"),
    plain("$anyElementTrue"),
    plain("$setDifference"),
    plain("$setEquals"),
    plain("$setIntersection"),
    plain("$setIsSubset"),
    plain("$setUnion"),

    // Arithmetic, bits, trigonometry
    plain("$abs"),
    plain("$add"),
    plain("$ceil"),
    plain("$divide"),
    plain("$exp"),
    plain("$floor"),
    plain("$ln"),
    plain("$log"),
    plain("$log10"),
    plain("$mod"),
    plain("$multiply"),
    plain("$pow"),
    plain("$round"),
    plain("$sigmoid"),
    plain("$sqrt"),
    plain("$subtract"),
    plain("$trunc"),
    plain("$bitAnd"),
    plain("$bitNot"),
    plain("$bitOr"),
    plain("$bitXor"),
    plain("$sin"),
    plain("$cos"),
    plain("$tan"),
    plain("$asin"),
    plain("$acos"),
    plain("$atan"),
    plain("$atan2"),
    plain("$sinh"),
    plain("$cosh"),
    plain("$tanh"),
    plain("$asinh"),
    plain("$acosh"),
    plain("$atanh"),
    plain("$degreesToRadians"),
    plain("$radiansToDegrees"),
    plain("$avg"),
    plain("$max"),
    plain("$min"),
    plain("$sum"),
    plain("$stdDevPop"),
    plain("$stdDevSamp"),
    plain("$median"),
    plain("$percentile"),

    // Dates and timestamps
    plain("$dateAdd"),
    plain("$dateDiff"),
    plain("$dateFromParts"),
    plain("$dateFromString"),
    plain("$dateSubtract"),
    plain("$dateToParts"),
    plain("$dateToString"),
    plain("$dateTrunc"),
    plain("$dayOfMonth"),
    plain("$dayOfWeek"),
    plain("$dayOfYear"),
    plain("$hour"),
    plain("$isoDayOfWeek"),
    plain("$isoWeek"),
    plain("$isoWeekYear"),
    plain("$millisecond"),
    plain("$minute"),
    plain("$month"),
    plain("$second"),
    plain("$week"),
    plain("$year"),
    plain("$tsIncrement"),
    plain("$tsSecond"),

    // Strings
    plain("$concat"),
    plain("$indexOfBytes"),
    plain("$indexOfCP"),
    plain("$ltrim"),
    plain("$regexFind"),
    plain("$regexFindAll"),
    plain("$regexMatch"),
    plain("$replaceOne"),
    plain("$replaceAll"),
    plain("$rtrim"),
    plain("$split"),
    plain("$strLenBytes"),
    plain("$strLenCP"),
    plain("$strcasecmp"),
    plain("$substr"),
    plain("$substrBytes"),
    plain("$substrCP"),
    plain("$toLower"),
    plain("$toUpper"),
    plain("$trim"),

    // Types and sizes
    plain("$convert"),
    plain("$isNumber"),
    plain("$toBool"),
    plain("$toDate"),
    plain("$toDecimal"),
    plain("$toDouble"),
    plain("$toInt"),
    plain("$toLong"),
    plain("$toObjectId"),
    plain("$toString"),
    plain("$toUUID"),
    plain("$type"),
    plain("$binarySize"),
    plain("$bsonSize"),
    plain("$toHashedIndexKey"),

    // Queryable Encryption's own, on fields of it
    plain("$encStrContains"),
    plain("$encStrEndsWith"),
    plain("$encStrNormalizedEq"),
    plain("$encStrStartsWith"),

    ExpressionOperator{"$meta", metadata},
    ExpressionOperator{"$rand", metadata},
    ExpressionOperator{"$sampleRate", metadata},
    ExpressionOperator{"$function", never},
    ExpressionOperator{"$accumulator", never},
};

// By name, because every operator of every expression is looked up.
const auto& table() {
    static const auto sorted = [] {
        auto rows = operators;
        std::sort(rows.begin(), rows.end(), [](const auto& a, const auto& b) { return a.name < b.name; });
        return rows;
    }();
    return sorted;
}

}  // namespace

std::span<const ExpressionOperator> expression_operators() {
    return table();
}

const ExpressionOperator* find_expression_operator(std::string_view name) {
    const auto& rows = table();
    const auto row =
        std::lower_bound(rows.begin(), rows.end(), name,
                         [](const ExpressionOperator& r, std::string_view n) { return r.name < n; });
    return row == rows.end() || row->name != name ? nullptr : &*row;
}

}  // namespace fieldgate::analysis
