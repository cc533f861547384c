package org.fhirfacade.hapi;

import ca.uhn.fhir.jpa.dao.CacheTagDefinitionDao;
import ca.uhn.fhir.jpa.dao.data.ITagDefinitionDao;
import ca.uhn.fhir.jpa.dao.tx.HapiTransactionService;
import ca.uhn.fhir.jpa.model.entity.TagDefinition;
import ca.uhn.fhir.jpa.model.entity.TagTypeEnum;
import ca.uhn.fhir.jpa.util.MemoryCacheService;
import ca.uhn.fhir.jpa.util.MemoryCacheService.CacheEnum;
import ca.uhn.fhir.jpa.util.MemoryCacheService.TagDefinitionCacheKey;
import ca.uhn.fhir.rest.api.server.storage.TransactionDetails;
import java.util.HashMap;
import java.util.Map;
import java.util.Objects;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.apache.commons.lang3.StringUtils;
import org.springframework.beans.DirectFieldAccessor;
import org.springframework.data.domain.Example;
import org.springframework.data.domain.ExampleMatcher;
import org.springframework.data.repository.query.FluentQuery.FetchableFluentQuery;

/**
 * Keeps a tag, label or profile as it was sent: with its own display, its whole version, and without a system, a
 * version or a choice of the user where it has none.
 *
 * <p>HAPI alone keeps the first one of the same code that is known already, and 30 characters of a version. When its
 * database refuses a write because of a tag, it tries again with what it remembers of the first try, which is not in
 * the database: it answers that all was written, and the tags are lost.
 */
class TagsAsSent extends CacheTagDefinitionDao {

  /** What HAPI forgets before it tries again; its own is remembered under another name. */
  private static final String OF_THE_TRANSACTION = HapiTransactionService.XACT_USERDATA_KEY_RESOLVED_TAG_DEFINITIONS;

  private static final ExampleMatcher EXACTLY =
      ExampleMatcher.matching().withIncludeNullValues().withIgnorePaths("myId");

  private final ITagDefinitionDao known;
  private final MemoryCacheService cache;

  TagsAsSent(ITagDefinitionDao known, MemoryCacheService cache) {
    super(known, cache);
    this.known = known;
    this.cache = cache;
  }

  @Override
  protected TagDefinition getTagOrNull(
      TransactionDetails transaction,
      TagTypeEnum type,
      String system,
      String code,
      String display,
      String version,
      Boolean userSelected) {
    if (StringUtils.isAllBlank(system, code, display)) {
      return null;
    }
    TagDefinitionCacheKey key = key(type, system, code, display, version, userSelected);
    TagDefinition cached = cache.getIfPresent(CacheEnum.TAG_DEFINITION, key);
    if (cached != null) {
      return cached;
    }
    Map<TagDefinitionCacheKey, TagDefinition> own =
        transaction.getOrCreateUserData(OF_THE_TRANSACTION, HashMap::new);
    return own.computeIfAbsent(
        key, absent -> kept(absent, tag(type, system, code, display, version, userSelected)));
  }

  private TagDefinition kept(TagDefinitionCacheKey key, TagDefinition tag) {
    TagDefinition kept =
        known.findBy(Example.of(tag, EXACTLY), FetchableFluentQuery::first).orElseGet(() -> known.save(tag));
    cache.putAfterCommit(CacheEnum.TAG_DEFINITION, key, kept);
    return kept;
  }

  private static TagDefinition tag(
      TagTypeEnum type, String system, String code, String display, String version, Boolean userSelected) {
    TagDefinition tag = new TagDefinition(type, system, code, display);
    tag.setUserSelected(userSelected);
    // its setter cuts
    new DirectFieldAccessor(tag).setPropertyValue("myVersion", version);
    return tag;
  }

  /** Two keys are equal by type, system and code, whatever else they have: all of it stands in the place of the code. */
  private static TagDefinitionCacheKey key(TagTypeEnum type, String system, Object... said) {
    String all = Stream.of(said).map(one -> Objects.toString(one, "")).collect(Collectors.joining("\0"));
    return new TagDefinitionCacheKey(type, system, all, null, null);
  }
}
