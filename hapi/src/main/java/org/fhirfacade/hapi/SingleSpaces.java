package org.fhirfacade.hapi;

import ca.uhn.fhir.jpa.model.config.PartitionSettings;
import ca.uhn.fhir.jpa.model.entity.BaseResourceIndexedSearchParam;
import ca.uhn.fhir.jpa.model.entity.ResourceIndexedSearchParamString;
import java.util.List;
import java.util.regex.Pattern;
import org.hl7.fhir.instance.model.api.IBaseResource;

/**
 * Indexes a text with one space where it has more white space than that: who looks for {@code ten have} means the lines
 * of an address too. Exact searches compare what was written.
 *
 * <p>HAPI alone finds it only by as many spaces, tabs and line ends as there are.
 */
class SingleSpaces extends ShortAddresses {

  /** White space that is no single space, or at an end. */
  private static final Pattern OTHER = Pattern.compile("(?U)[\\s&&[^ ]]|  |^ | $");

  private static final Pattern ANY = Pattern.compile("(?U)\\s+");

  private final PartitionSettings partitions;

  SingleSpaces(PartitionSettings partitions) {
    super(partitions);
    this.partitions = partitions;
  }

  @Override
  public SearchParamSet<ResourceIndexedSearchParamString> extractSearchParamStrings(
      IBaseResource resource, ISearchParamFilter filter) {
    return withSingleSpaces(super.extractSearchParamStrings(resource, filter));
  }

  /** What {@code :text} searches is among the rows of the codes. */
  @Override
  public SearchParamSet<BaseResourceIndexedSearchParam> extractSearchParamTokens(
      IBaseResource resource, ISearchParamFilter filter) {
    return withSingleSpaces(super.extractSearchParamTokens(resource, filter));
  }

  @SuppressWarnings("unchecked") // a row anew is of the class of the row
  private <R extends BaseResourceIndexedSearchParam> SearchParamSet<R> withSingleSpaces(SearchParamSet<R> rows) {
    for (R row : List.copyOf(rows)) {
      if (row instanceof ResourceIndexedSearchParamString text && isMeant(text.getValueNormalized())) {
        rows.remove(row);
        rows.add((R) anew(text));
      }
    }
    return rows;
  }

  private static boolean isMeant(String text) {
    return text != null && OTHER.matcher(text).find();
  }

  /** Its hashes, and its place in a set, are those of its text. */
  private ResourceIndexedSearchParamString anew(ResourceIndexedSearchParamString row) {
    return new ResourceIndexedSearchParamString(
        partitions,
        getStorageSettings(),
        row.getResourceType(),
        row.getParamName(),
        ANY.matcher(row.getValueNormalized()).replaceAll(" ").strip(),
        row.getValueExact());
  }
}
