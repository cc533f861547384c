package org.fhirfacade.hapi;

import ca.uhn.fhir.context.RuntimeSearchParam;
import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.entity.BaseResourceIndexedSearchParamQuantity;
import ca.uhn.fhir.jpa.model.entity.ResourceIndexedSearchParamQuantity;
import ca.uhn.fhir.jpa.model.entity.ResourceIndexedSearchParamQuantityNormalized;
import ca.uhn.fhir.jpa.model.util.UcumServiceUtil;
import ca.uhn.fhir.jpa.searchparam.extractor.SearchParamExtractorR4;
import ca.uhn.fhir.rest.api.RestSearchParameterTypeEnum;
import java.math.BigDecimal;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;
import org.fhir.ucum.Pair;
import org.hl7.fhir.instance.model.api.IBase;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.r4.model.Base;
import org.hl7.fhir.r4.model.Quantity;

/**
 * Indexes both ends of a quantity that is an interval, and which end each is, as {@link EndRows} says.
 *
 * <p>HAPI alone indexes the number that stands beside a comparator, nothing of SampledData, and codes only. Here a
 * printed unit that is no code is a code without a system too.
 */
class QuantityEnds extends SearchParamExtractorR4 {

  /** What a resource bears that has an interval: few have one, and the others are indexed as HAPI does it. */
  private static final String HAS_INTERVALS = QuantityEnds.class.getName();

  private final PartitionSettings partitions;

  QuantityEnds(PartitionSettings partitions) {
    this.partitions = partitions;
  }

  @Override
  public IValueExtractor getPathValueExtractor(IBase resource, String path) {
    IValueExtractor values = super.getPathValueExtractor(resource, path);
    return () -> values.get().stream().flatMap(value -> indexed(resource, value)).toList();
  }

  private static Stream<? extends IBase> indexed(IBase resource, IBase value) {
    return IntervalEnds.of(value)
        .flatMap(own -> own instanceof Quantity quantity ? noted(resource, quantity) : Stream.of(own));
  }

  private static Stream<Quantity> noted(IBase resource, Quantity quantity) {
    if (IntervalEnds.endOf(quantity) != null) {
      ((Base) resource).setUserData(HAS_INTERVALS, true);
    }
    return IntervalEnds.inEachUnit(quantity);
  }

  @Override
  public SearchParamSet<ResourceIndexedSearchParamQuantity> extractSearchParamQuantity(
      IBaseResource resource, ISearchParamFilter filter) {
    List<RuntimeSearchParam> asked = new ArrayList<>();
    SearchParamSet<ResourceIndexedSearchParamQuantity> rows =
        super.extractSearchParamQuantity(resource, all -> kept(filter.filterSearchParams(all), asked));
    return withEnds(rows, resource, asked, this::row);
  }

  @Override
  public SearchParamSet<ResourceIndexedSearchParamQuantityNormalized> extractSearchParamQuantityNormalized(
      IBaseResource resource, ISearchParamFilter filter) {
    List<RuntimeSearchParam> asked = new ArrayList<>();
    SearchParamSet<ResourceIndexedSearchParamQuantityNormalized> rows =
        super.extractSearchParamQuantityNormalized(resource, all -> kept(filter.filterSearchParams(all), asked));
    return withEnds(rows, resource, asked, this::normalizedRow);
  }

  private static Collection<RuntimeSearchParam> kept(
      Collection<RuntimeSearchParam> found, List<RuntimeSearchParam> asked) {
    asked.addAll(found);
    return found;
  }

  private <R extends BaseResourceIndexedSearchParamQuantity> SearchParamSet<R> withEnds(
      SearchParamSet<R> rows, IBaseResource resource, List<RuntimeSearchParam> asked, EndRows.Maker<R> maker) {
    if (!((Base) resource).hasUserData(HAS_INTERVALS)) {
      return rows;
    }
    for (RuntimeSearchParam parameter : asked) {
      if (parameter.getParamType() != RestSearchParameterTypeEnum.QUANTITY) {
        continue;
      }
      List<Quantity> values = values(resource, parameter);
      if (values.stream().anyMatch(value -> IntervalEnds.endOf(value) != null)) {
        rows.removeIf(row -> row.getParamName().equals(parameter.getName()));
        rows.addAll(EndRows.of(resource.fhirType(), parameter.getName(), values, maker));
      }
    }
    return rows;
  }

  private List<Quantity> values(IBaseResource resource, RuntimeSearchParam parameter) {
    return Arrays.stream(split(parameter.getPath()))
        .flatMap(path -> getPathValueExtractor(resource, path.trim()).get().stream())
        .filter(Quantity.class::isInstance)
        .map(Quantity.class::cast)
        .filter(Quantity::hasValue)
        .toList();
  }

  private ResourceIndexedSearchParamQuantity row(String type, String name, Quantity value) {
    ResourceIndexedSearchParamQuantity row =
        new ResourceIndexedSearchParamQuantity(
            partitions, type, name, value.getValue(), value.getSystem(), value.getCode());
    row.myValue = EndRows.moved(row.myValue, IntervalEnds.endOf(value));
    return row;
  }

  /** Null where the unit has no canonical one. */
  private ResourceIndexedSearchParamQuantityNormalized normalizedRow(String type, String name, Quantity value) {
    boolean isOpen = value.getValue().abs().compareTo(IntervalEnds.BEYOND) == 0;
    BigDecimal number = isOpen ? BigDecimal.ONE : value.getValue();
    Pair canonical = UcumServiceUtil.getCanonicalForm(value.getSystem(), number, value.getCode());
    if (canonical == null) {
      return null;
    }
    double converted =
        isOpen ? value.getValue().doubleValue() : Double.parseDouble(canonical.getValue().asDecimal());
    return new ResourceIndexedSearchParamQuantityNormalized(
        partitions,
        type,
        name,
        EndRows.moved(converted, IntervalEnds.endOf(value)),
        value.getSystem(),
        canonical.getCode());
  }
}
