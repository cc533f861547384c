package org.fhirfacade.hapi;

import ca.uhn.fhir.context.RuntimeSearchParam;
import ca.uhn.fhir.interceptor.model.RequestPartitionId;
import ca.uhn.fhir.jpa.api.config.JpaStorageSettings;
import ca.uhn.fhir.jpa.api.svc.IIdHelperService;
import ca.uhn.fhir.jpa.api.svc.ResolveIdentityMode;
import ca.uhn.fhir.jpa.dao.predicate.SearchFilterParser.CompareOperation;
import ca.uhn.fhir.jpa.model.dao.JpaPid;
import ca.uhn.fhir.jpa.search.builder.QueryStack;
import ca.uhn.fhir.jpa.search.builder.predicate.ResourceLinkPredicateBuilder;
import ca.uhn.fhir.jpa.search.builder.sql.SearchQueryBuilder;
import ca.uhn.fhir.jpa.util.QueryParameterUtils;
import ca.uhn.fhir.model.api.IQueryParameterType;
import ca.uhn.fhir.rest.api.server.RequestDetails;
import ca.uhn.fhir.rest.param.ReferenceParam;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import com.healthmarketscience.sqlbuilder.ComboCondition;
import com.healthmarketscience.sqlbuilder.Condition;
import com.healthmarketscience.sqlbuilder.dbspec.basic.DbColumn;
import java.util.Collection;
import java.util.List;
import java.util.stream.Stream;
import org.apache.commons.lang3.StringUtils;
import org.hl7.fhir.instance.model.api.IIdType;
import org.hl7.fhir.r4.model.IdType;
import org.springframework.beans.factory.annotation.Autowired;

/** Finds a reference by the resource it leads to, or by its address where it led to nothing when it was written. */
class FoundByAddress extends ResourceLinkPredicateBuilder {

  private final DbColumn address = getTable().findColumn("TARGET_RESOURCE_URL");

  @Autowired private IIdHelperService<JpaPid> ids;
  @Autowired private ISearchParamRegistry definitions;
  @Autowired private JpaStorageSettings storage;

  FoundByAddress(QueryStack stack, SearchQueryBuilder search) {
    super(stack, search);
  }

  @Override
  public Condition createPredicate(
      RequestDetails request,
      String type,
      String name,
      List<String> qualifiers,
      List<? extends IQueryParameterType> asked,
      CompareOperation operation,
      RequestPartitionId partition) {
    if (asked.stream().noneMatch(this::isLocal)) {
      return super.createPredicate(request, type, name, qualifiers, asked, operation, partition);
    }
    List<IIdType> targets = asked.stream().filter(this::isLocal).flatMap(one -> targets(type, name, one)).toList();
    Condition byAddress =
        ComboCondition.and(
            createPredicateSourcePaths(createResourceLinkPaths(type, name, qualifiers)), isOneOf(targets));
    if (asked.stream().allMatch(this::isLocal) && !isAnyThere(targets, partition)) {
      return byAddress; // HAPI would say of the whole search that nothing matches
    }
    return ComboCondition.or(
        super.createPredicate(request, type, name, qualifiers, asked, operation, partition), byAddress);
  }

  private boolean isAnyThere(List<IIdType> targets, RequestPartitionId partition) {
    return !ids.resolveResourcePids(partition, targets, ResolveIdentityMode.includeDeleted().cacheOk()).isEmpty();
  }

  private boolean isLocal(IQueryParameterType asked) {
    return asked instanceof ReferenceParam reference
        && StringUtils.isBlank(reference.getChain())
        && (StringUtils.isBlank(reference.getBaseUrl())
            || storage.getTreatBaseUrlsAsLocal().contains(reference.getBaseUrl()));
  }

  /** Of an id without a type, one for each type that the parameter leads to. */
  private Stream<IIdType> targets(String type, String name, IQueryParameterType asked) {
    ReferenceParam reference = (ReferenceParam) asked;
    Collection<String> types =
        StringUtils.isBlank(reference.getResourceType())
            ? led(type, name)
            : List.of(reference.getResourceType());
    return types.stream().map(target -> new IdType(target, reference.getIdPart()));
  }

  private Collection<String> led(String type, String name) {
    RuntimeSearchParam definition =
        definitions.getActiveSearchParam(type, name, ISearchParamRegistry.SearchParamLookupContextEnum.SEARCH);
    return definition != null && definition.hasTargets()
        ? definition.getTargets()
        : getFhirContext().getResourceTypes();
  }

  private Condition isOneOf(List<IIdType> targets) {
    List<String> addresses =
        targets.stream().map(one -> LinksByAddress.address(one.getResourceType(), one.getIdPart())).toList();
    return QueryParameterUtils.toEqualToOrInPredicate(
        address, getSearchQueryBuilder().generatePlaceholders(addresses), false);
  }
}
