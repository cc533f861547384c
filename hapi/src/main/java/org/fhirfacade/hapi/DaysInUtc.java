package org.fhirfacade.hapi;

import ca.uhn.fhir.jpa.dao.predicate.SearchFilterParser.CompareOperation;
import ca.uhn.fhir.jpa.search.builder.predicate.DatePredicateBuilder;
import ca.uhn.fhir.jpa.search.builder.sql.SearchQueryBuilder;
import ca.uhn.fhir.model.api.IQueryParameterType;
import ca.uhn.fhir.model.api.TemporalPrecisionEnum;
import ca.uhn.fhir.rest.param.DateParam;
import ca.uhn.fhir.rest.param.ParamPrefixEnum;
import com.healthmarketscience.sqlbuilder.ComboCondition;
import com.healthmarketscience.sqlbuilder.Condition;
import java.util.Date;

/**
 * Looks for a day, month or year as the moments in UTC between which it lies.
 *
 * <p>HAPI alone compares it with the day that the author of a moment wrote, in whatever zone. Its setting against that
 * ({@code useOrdinalDatesForDayPrecisionSearches}) is no way out: a day is then as long as in all zones
 * together, and a month finds nothing.
 */
class DaysInUtc extends DatePredicateBuilder {

  DaysInUtc(SearchQueryBuilder search) {
    super(search);
  }

  @Override
  public Condition createPredicateDateWithoutIdentityPredicate(IQueryParameterType asked, CompareOperation operation) {
    return isPlainDay(asked)
        ? within((DateParam) asked)
        : super.createPredicateDateWithoutIdentityPredicate(asked, operation);
  }

  private static boolean isPlainDay(IQueryParameterType asked) {
    return asked instanceof DateParam date
        && !date.isEmpty()
        && (date.getPrefix() == null || date.getPrefix() == ParamPrefixEnum.EQUAL)
        && date.getPrecision().ordinal() <= TemporalPrecisionEnum.DAY.ordinal();
  }

  /** Begins after the last second before the day and ends before the next one: both of the same value. */
  private Condition within(DateParam day) {
    Date before = Date.from(day.getValue().toInstant().minusSeconds(1));
    Date next = day.getPrecision().add(day.getValue(), 1);
    return ComboCondition.and(
        super.createPredicateDateWithoutIdentityPredicate(
            new DateParam(ParamPrefixEnum.STARTS_AFTER, before), CompareOperation.sa),
        super.createPredicateDateWithoutIdentityPredicate(
            new DateParam(ParamPrefixEnum.ENDS_BEFORE, next), CompareOperation.eb));
  }
}
