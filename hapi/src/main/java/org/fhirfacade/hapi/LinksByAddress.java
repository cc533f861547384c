package org.fhirfacade.hapi;

import ca.uhn.fhir.interceptor.model.RequestPartitionId;
import ca.uhn.fhir.jpa.dao.JpaDaoResourceLinkResolver;
import ca.uhn.fhir.jpa.model.cross.IResourceLookup;
import ca.uhn.fhir.jpa.model.entity.ResourceLink;
import ca.uhn.fhir.jpa.model.entity.ResourceTable;
import ca.uhn.fhir.jpa.searchparam.extractor.ISearchParamExtractor;
import ca.uhn.fhir.jpa.searchparam.extractor.PathAndRef;
import ca.uhn.fhir.jpa.searchparam.extractor.ResourceIndexedSearchParams;
import ca.uhn.fhir.jpa.searchparam.extractor.SearchParamExtractorService;
import ca.uhn.fhir.rest.api.server.RequestDetails;
import ca.uhn.fhir.rest.api.server.storage.TransactionDetails;
import java.util.ArrayList;
import java.util.List;
import org.hl7.fhir.instance.model.api.IBaseResource;
import org.hl7.fhir.instance.model.api.IIdType;

/** Indexes a reference to nothing as a link to the address {@code Patient/x}, as HAPI does for other servers. */
class LinksByAddress extends SearchParamExtractorService {

  private static final String NOWHERE = LinksByAddress.class.getName();

  @Override
  public void extractFromResource(
      RequestPartitionId partition,
      RequestDetails request,
      ResourceIndexedSearchParams indexed,
      ResourceIndexedSearchParams before,
      ResourceTable entity,
      IBaseResource resource,
      TransactionDetails transaction,
      boolean looksUp,
      ISearchParamExtractor.ISearchParamFilter filter) {
    transaction.clearUserData(NOWHERE);
    super.extractFromResource(partition, request, indexed, before, entity, resource, transaction, looksUp, filter);
    List<PathAndRef> nowhere = transaction.getUserData(NOWHERE);
    if (nowhere != null) {
      nowhere.forEach(one -> indexed.myLinks.add(link(one, entity, transaction)));
      entity.setHasLinks(!indexed.myLinks.isEmpty());
    }
  }

  private static ResourceLink link(PathAndRef from, ResourceTable entity, TransactionDetails transaction) {
    IIdType target = from.getRef().getReferenceElement();
    String address = address(target.getResourceType(), target.getIdPart());
    ResourceLink link =
        ResourceLink.forLogicalReference(from.getPath(), entity, address, transaction.getTransactionDate());
    link.setTargetResource(target.getResourceType(), null, null);
    return link;
  }

  static String address(String type, String id) {
    return type + "/" + id;
  }

  /** Notes what leads to nothing for the extractor, which asks. */
  static class Targets extends JpaDaoResourceLinkResolver {

    @Override
    public IResourceLookup<?> findTargetResource(
        RequestPartitionId partition,
        String source,
        PathAndRef from,
        RequestDetails request,
        TransactionDetails transaction) {
      IResourceLookup<?> found = super.findTargetResource(partition, source, from, request, transaction);
      if (found == null) {
        List<PathAndRef> nowhere = transaction.getOrCreateUserData(NOWHERE, ArrayList::new);
        nowhere.add(from);
      }
      return found;
    }
  }
}
