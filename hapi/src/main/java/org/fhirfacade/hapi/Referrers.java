package org.fhirfacade.hapi;

import ca.uhn.fhir.context.FhirContext;
import ca.uhn.fhir.context.RuntimeSearchParam;
import ca.uhn.fhir.interceptor.model.RequestPartitionId;
import ca.uhn.fhir.jpa.api.svc.IIdHelperService;
import ca.uhn.fhir.jpa.api.svc.ResolveIdentityMode;
import ca.uhn.fhir.jpa.model.dao.JpaPid;
import ca.uhn.fhir.rest.annotation.Operation;
import ca.uhn.fhir.rest.annotation.OperationParam;
import ca.uhn.fhir.rest.api.RestSearchParameterTypeEnum;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry;
import ca.uhn.fhir.rest.server.util.ISearchParamRegistry.SearchParamLookupContextEnum;
import jakarta.persistence.EntityManager;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.stream.Stream;
import org.hl7.fhir.instance.model.api.IIdType;
import org.hl7.fhir.r4.model.IdType;
import org.hl7.fhir.r4.model.Parameters;
import org.hl7.fhir.r4.model.StringType;
import org.springframework.stereotype.Component;
import org.springframework.transaction.support.TransactionTemplate;

/**
 * {@code GET /$referrers?target=Patient/1}: by which parameters of which types something refers to a target, each as
 * {@code CareTeam:participant}, however much does.
 *
 * <p>HAPI alone tells it with {@code _revinclude}, and up to a thousand resources for each parameter.
 */
@Component
public class Referrers {

  /** The rows of a target lie in the order of their paths: each step goes behind all that have the same one. */
  private static final String PATHS =
      "WITH RECURSIVE own (path) AS ("
          + "SELECT MIN(link.SRC_PATH) FROM HFJ_RES_LINK link WHERE link.TARGET_RESOURCE_ID = :target"
          + " UNION ALL"
          + " SELECT (SELECT MIN(link.SRC_PATH) FROM HFJ_RES_LINK link"
          + " WHERE link.TARGET_RESOURCE_ID = :target AND link.SRC_PATH > own.path)"
          + " FROM own WHERE own.path IS NOT NULL)"
          + " SELECT path FROM own WHERE path IS NOT NULL";

  private final FhirContext fhir;
  private final ISearchParamRegistry definitions;
  private final IIdHelperService<JpaPid> ids;
  private final EntityManager entities;
  private final TransactionTemplate transaction;
  private Map<String, List<String>> namesByPath;

  Referrers(
      FhirContext fhir,
      ISearchParamRegistry definitions,
      IIdHelperService<JpaPid> ids,
      EntityManager entities,
      TransactionTemplate transaction) {
    this.fhir = fhir;
    this.definitions = definitions;
    this.ids = ids;
    this.entities = entities;
    this.transaction = transaction;
  }

  @Operation(name = "$referrers", idempotent = true)
  public Parameters referrers(@OperationParam(name = "target") List<StringType> targets) {
    Parameters told = new Parameters();
    transaction
        .execute(status -> pids(targets).stream().flatMap(this::paths).distinct().toList())
        .forEach(path -> names(path).forEach(name -> told.addParameter("referrer", name)));
    return told;
  }

  private List<JpaPid> pids(List<StringType> targets) {
    List<IIdType> asked =
        Stream.ofNullable(targets)
            .flatMap(List::stream)
            .<IIdType>map(target -> new IdType(target.getValue()))
            .toList();
    return ids.resolveResourcePids(
        RequestPartitionId.allPartitions(), asked, ResolveIdentityMode.includeDeleted().cacheOk());
  }

  private Stream<String> paths(JpaPid target) {
    return entities.createNativeQuery(PATHS, String.class).setParameter("target", target.getId()).getResultStream();
  }

  private List<String> names(String path) {
    return byPath().getOrDefault(path, List.of());
  }

  /** What no parameter leads to is in no search either. */
  private synchronized Map<String, List<String>> byPath() {
    if (namesByPath == null) {
      Map<String, List<String>> found = new HashMap<>();
      fhir.getResourceTypes().forEach(type -> references(type).forEach(each -> note(type, each, found)));
      namesByPath = found;
    }
    return namesByPath;
  }

  private Stream<RuntimeSearchParam> references(String type) {
    return definitions.getActiveSearchParams(type, SearchParamLookupContextEnum.SEARCH).values().stream()
        .filter(each -> each.getParamType() == RestSearchParameterTypeEnum.REFERENCE);
  }

  private static void note(String type, RuntimeSearchParam parameter, Map<String, List<String>> found) {
    parameter.getPathsSplit().stream()
        .map(String::trim)
        .filter(path -> path.contains(type + "."))
        .forEach(
            path -> found.computeIfAbsent(path, own -> new ArrayList<>()).add(type + ":" + parameter.getName()));
  }
}
