package org.fhirfacade.hapi;

import ca.uhn.fhir.interceptor.model.RequestPartitionId;
import ca.uhn.fhir.jpa.model.entity.TagTypeEnum;
import ca.uhn.fhir.jpa.search.builder.predicate.TagPredicateBuilder;
import ca.uhn.fhir.jpa.search.builder.sql.SearchQueryBuilder;
import ca.uhn.fhir.rest.param.UriParamQualifierEnum;
import com.healthmarketscience.sqlbuilder.Condition;
import java.util.List;
import java.util.stream.Stream;
import org.apache.commons.lang3.tuple.Triple;

/**
 * Finds by the address of a profile those who name a version of it too: {@code http://example.org/p|2}.
 *
 * <p>HAPI alone compares the whole text, and takes {@code _} for any character where it asks for a beginning.
 */
class ProfilesOfAnyVersion extends TagPredicateBuilder {

  private static final String BELOW = UriParamQualifierEnum.BELOW.getValue();

  ProfilesOfAnyVersion(SearchQueryBuilder search) {
    super(search);
  }

  /** {@code asked}: system, qualifier and code of each. */
  @Override
  public Condition createPredicateTag(
      TagTypeEnum type, List<Triple<String, String, String>> asked, String name, RequestPartitionId partition) {
    boolean profiles = type == TagTypeEnum.PROFILE;
    return super.createPredicateTag(
        type, profiles ? asked.stream().flatMap(ProfilesOfAnyVersion::meant).toList() : asked, name, partition);
  }

  private static Stream<Triple<String, String, String>> meant(Triple<String, String, String> one) {
    String address = one.getRight();
    if (BELOW.equals(one.getMiddle())) {
      return Stream.of(beginning(address));
    }
    return Stream.of(one, beginning(address + "|"));
  }

  private static Triple<String, String, String> beginning(String text) {
    return Triple.of(null, BELOW, text.replace("\\", "\\\\").replace("_", "\\_"));
  }
}
