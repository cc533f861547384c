package org.fhirfacade.hapi;

import ca.uhn.fhir.interceptor.model.RequestPartitionId;
import ca.uhn.fhir.jpa.dao.predicate.SearchFilterParser.CompareOperation;
import ca.uhn.fhir.jpa.model.entity.BaseResourceIndexedSearchParam;
import ca.uhn.fhir.jpa.search.builder.predicate.BaseQuantityPredicateBuilder;
import ca.uhn.fhir.jpa.search.builder.predicate.QuantityNormalizedPredicateBuilder;
import ca.uhn.fhir.jpa.search.builder.predicate.QuantityPredicateBuilder;
import ca.uhn.fhir.jpa.search.builder.sql.SearchQueryBuilder;
import ca.uhn.fhir.rest.param.ParamPrefixEnum;
import ca.uhn.fhir.rest.param.QuantityParam;
import com.healthmarketscience.sqlbuilder.BinaryCondition;
import com.healthmarketscience.sqlbuilder.ComboCondition;
import com.healthmarketscience.sqlbuilder.Condition;
import com.healthmarketscience.sqlbuilder.NotCondition;
import com.healthmarketscience.sqlbuilder.SelectQuery;
import com.healthmarketscience.sqlbuilder.UnaryCondition;
import com.healthmarketscience.sqlbuilder.dbspec.basic.DbColumn;
import com.healthmarketscience.sqlbuilder.dbspec.basic.DbTable;
import jakarta.persistence.criteria.CriteriaBuilder;

/**
 * Finds what starts after a number ({@code sa}) or ends before it ({@code eb}) with the whole of it: what is greater,
 * or less, and not merely the other end of an interval.
 *
 * <p>HAPI alone refuses both. {@link EndRows} says how the ends are told apart.
 */
enum WholeQuantities {
  AFTER(CompareOperation.gt, ParamPrefixEnum.GREATERTHAN, EndRows.UPPER),
  BEFORE(CompareOperation.lt, ParamPrefixEnum.LESSTHAN, EndRows.LOWER);

  private final CompareOperation operation;
  private final ParamPrefixEnum prefix;
  private final String otherEnd;

  WholeQuantities(CompareOperation operation, ParamPrefixEnum prefix, String otherEnd) {
    this.operation = operation;
    this.prefix = prefix;
    this.otherEnd = otherEnd;
  }

  /** In the units that are written. */
  static class AsWritten extends QuantityPredicateBuilder {

    private final SearchQueryBuilder search;

    AsWritten(SearchQueryBuilder search) {
      super(search);
      this.search = search;
    }

    @Override
    public Condition createPredicateQuantity(
        QuantityParam asked,
        String type,
        String name,
        CriteriaBuilder builder,
        BaseQuantityPredicateBuilder from,
        CompareOperation operation,
        RequestPartitionId partition) {
      return condition(
          asked,
          operation,
          (own, way) -> super.createPredicateQuantity(own, type, name, builder, from, way, partition),
          end -> marked(search, this, myColumnHashIdentitySystemUnits, hash(search, partition, type, name + end)));
    }
  }

  /** In canonical units. */
  static class Converted extends QuantityNormalizedPredicateBuilder {

    private final SearchQueryBuilder search;

    Converted(SearchQueryBuilder search) {
      super(search);
      this.search = search;
    }

    @Override
    public Condition createPredicateQuantity(
        QuantityParam asked,
        String type,
        String name,
        CriteriaBuilder builder,
        BaseQuantityPredicateBuilder from,
        CompareOperation operation,
        RequestPartitionId partition) {
      return condition(
          asked,
          operation,
          (own, way) -> super.createPredicateQuantity(own, type, name, builder, from, way, partition),
          end -> marked(search, this, myColumnHashIdentitySystemUnits, hash(search, partition, type, name + end)));
    }
  }

  @FunctionalInterface
  private interface Compared {
    Condition condition(QuantityParam asked, CompareOperation operation);
  }

  @FunctionalInterface
  private interface Marked {
    Condition as(String end);
  }

  private static Condition condition(
      QuantityParam asked, CompareOperation operation, Compared compared, Marked marked) {
    WholeQuantities whole = of(asked, operation);
    if (whole == null) {
      return compared.condition(asked, operation);
    }
    QuantityParam beyond =
        new QuantityParam(whole.prefix, asked.getValue(), asked.getSystem(), asked.getUnits());
    return ComboCondition.and(
        compared.condition(beyond, whole.operation), new NotCondition(marked.as(whole.otherEnd)));
  }

  /** Null where something else is asked. */
  private static WholeQuantities of(QuantityParam asked, CompareOperation operation) {
    if (operation == CompareOperation.sa || asked.getPrefix() == ParamPrefixEnum.STARTS_AFTER) {
      return AFTER;
    }
    return operation == CompareOperation.eb || asked.getPrefix() == ParamPrefixEnum.ENDS_BEFORE ? BEFORE : null;
  }

  private static long hash(SearchQueryBuilder search, RequestPartitionId partition, String type, String name) {
    return BaseResourceIndexedSearchParam.calculateHashIdentity(
        search.getPartitionSettings(), partition, type, name);
  }

  /** Whether the row of the index has another one beside it that tells which end it is. */
  private static Condition marked(
      SearchQueryBuilder search, BaseQuantityPredicateBuilder rows, DbColumn unit, long identity) {
    DbTable marks = search.addTable(rows.getTable().getName());
    SelectQuery beside =
        new SelectQuery()
            .addCustomColumns(1)
            .addFromTable(marks)
            .addCondition(
                ComboCondition.and(
                    BinaryCondition.equalTo(marks.addColumn("HASH_IDENTITY"), search.generatePlaceholder(identity)),
                    same(marks, rows.getResourceIdColumn()),
                    same(marks, unit),
                    same(marks, rows.getColumnValue())));
    return UnaryCondition.exists(beside);
  }

  private static Condition same(DbTable marks, DbColumn column) {
    return BinaryCondition.equalTo(marks.addColumn(column.getName()), column);
  }
}
